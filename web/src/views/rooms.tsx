import { createMemo, createSignal, For, type JSX, Match, Show, Switch } from "solid-js";
import { ApiError, get, send } from "../api/client";
import { can } from "../api/state";
import type { Room, RoomNow, RoomPlayer } from "../api/wire";
import { usePlayer } from "../player/context";
import { go, href } from "../router";
import { able, join, leave, member, playerId, replaced } from "../rooms/member";
import { apart, stepsMs, type Step, type Watch, watchRooms } from "../rooms/watch";
import { Dial } from "../ui/choice";
import { confirm, Form, openDialog } from "../ui/dialog";
import { clock, spoken } from "../ui/format";
import { Icon } from "../ui/icons";
import { Menu, type MenuItem } from "../ui/menu";
import { Await, complain, Cover, IconButton, Message, say, Slider } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t, tag } from "../words";
import "./rooms.css";

const path = (kind: "rooms" | "room-players", id: string, rest = "") => `${kind}/${encodeURIComponent(id)}${rest}`;

/** Does something with a room or a player, and says what the server refuses; what has changed comes by itself. */
const act = (method: "POST" | "PUT" | "DELETE", where: string, body?: unknown): void => void send(method, where, body).catch(complain);

/** The rooms, what plays in them, and on which players. */
export function Rooms(): JSX.Element {
  useTitle(() => t("rooms.title"));
  const watch = watchRooms();
  const none = () => watch.error() instanceof ApiError && (watch.error() as ApiError).kind === "not-found";
  const make = () =>
    void nameRoom(t("rooms.new"), t("rooms.create"), "", (name) => send("POST", "rooms", { name })).catch(complain);
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("rooms.title")}</h1>
          <p class="muted">{t("rooms.about")}</p>
        </div>
        <Show when={can("stream") && watch.rooms() !== undefined}>
          <button type="button" class="button" onClick={make}>
            <Icon name="add" /> {t("rooms.new")}
          </button>
        </Show>
      </header>
      <Show when={!able}>
        <p class="banner">{t("rooms.insecure")}</p>
      </Show>
      <Show when={replaced()}>
        <p class="banner" role="status">
          {t("rooms.replaced")}
        </p>
      </Show>
      <Show
        when={!none()}
        fallback={
          <Message icon="rooms" title={t("rooms.off")}>
            <p>{t("rooms.off.text")}</p>
          </Message>
        }
      >
        <Await value={watch.rooms()} error={watch.error()} retry={watch.retry}>
          {(rooms) => (
            <ul class="rooms" role="list" aria-label={t("rooms.title")}>
              <For each={rooms()}>{(room) => <RoomCard room={room} rooms={rooms()} watch={watch} />}</For>
            </ul>
          )}
        </Await>
      </Show>
    </>
  );
}

function RoomCard(props: { room: RoomNow; rooms: readonly RoomNow[]; watch: Watch }): JSX.Element {
  const player = usePlayer();
  const room = () => props.room;
  const here = () => member.room === room().id;
  const may = can("stream");
  const connected = createMemo(() => room().players.filter((p) => p.connected));
  const apartUs = () => (room().playing ? apart(connected().map((p) => props.watch.errorOf(p.id))) : undefined);

  const play = () => {
    if (here()) {
      leave();
      return;
    }
    if (player.state.playing) player.toggle();
    join(room().id).catch(complain);
  };
  const items = (): MenuItem[] => [
    { label: t("rooms.queue"), icon: "queue", to: `/rooms/${encodeURIComponent(room().id)}` },
    ...(may
      ? ([
          { label: t("rooms.send"), icon: "upload", apart: true, run: () => sendQueue(room()) },
          { label: t("rooms.take"), icon: "download", run: () => takeQueue(room()) },
          {
            label: t("rooms.repeat", { name: room().name, how: t(`rooms.repeat.${room().repeat as "off" | "all" | "one"}`) }),
            icon: "repeat",
            run: () => act("PUT", path("rooms", room().id), { repeat: room().repeat === "off" ? "all" : room().repeat === "all" ? "one" : "off" }),
          },
          { label: t("rooms.rename"), icon: "edit", apart: true, run: () => nameRoom(t("rooms.rename"), t("lists.save"), room().name, (name) => send("PUT", path("rooms", room().id), { name })) },
          { label: t("rooms.delete"), icon: "trash", run: () => remove(room()) },
        ] satisfies MenuItem[])
      : []),
  ];
  const sendQueue = async (to: RoomNow) => {
    const { entries, current } = player.state.queue;
    if (entries.length === 0) {
      say(t("rooms.send.none"));
      return;
    }
    const { playing } = player.state;
    const positionMs = Math.round(player.position());
    if (playing) player.toggle();
    await send("PUT", path("rooms", to.id, "/queue"), { tracks: entries.map((e) => e.track.id), current, positionMs, paused: !playing });
    say(t("rooms.sent", { name: to.name }));
  };
  const takeQueue = async (from: RoomNow) => {
    const whole = await get<Room>(path("rooms", from.id));
    if (whole.tracks.length === 0) return;
    await send("POST", path("rooms", from.id, "/pause"));
    player.play(whole.tracks, Math.max(0, whole.current));
    player.seek(whole.positionMs);
    if (!whole.playing) player.toggle();
    say(t("rooms.taken", { name: from.name }));
  };

  return (
    <li class="room-card" classList={{ here: here(), plays: room().playing }}>
      <header class="room-head">
        <h2 dir="auto">{room().name}</h2>
        <p class="room-apart" title={t("rooms.apart.about")}>
          <Show when={apartUs()} fallback={<Show when={connected().length > 0}>{t("rooms.players.count", { count: connected().length })}</Show>}>
            {(us) => t("rooms.apart", { apart: micros(us()) })}
          </Show>
        </p>
        <Menu label={t("rooms.more", { name: room().name })} title={room().name} items={items} />
      </header>

      <Now room={room()} watch={props.watch} may={may} />

      <div class="room-volume">
        <IconButton
          icon={room().muted ? "muted" : "volume"}
          label={t(room().muted ? "rooms.unmute" : "rooms.mute", { name: room().name })}
          pressed={room().muted ?? false}
          disabled={!may}
          onClick={() => act("PUT", path("rooms", room().id), { muted: !room().muted })}
        />
        <LiveSlider label={t("rooms.volume", { name: room().name })} value={room().volume} onChange={(volume) => send("PUT", path("rooms", room().id), { volume })} />
      </div>

      <Show when={may && able}>
        <div class="room-here">
          <button type="button" class="button" classList={{ primary: !here() }} aria-pressed={here()} onClick={play}>
            <Icon name={here() ? "remove" : "rooms"} /> {t(here() ? "rooms.stop" : "rooms.here")}
          </button>
          <p class="hint" role="status">
            <Show when={here()}>
              <Switch>
                <Match when={member.status === "joining"}>{t("rooms.joining")}</Match>
                <Match when={member.status === "lost"}>{t("rooms.lost")}</Match>
                <Match when={member.status === "in"}>{t("rooms.in")}</Match>
              </Switch>
            </Show>
          </p>
        </div>
      </Show>

      <Show when={room().players.length > 0} fallback={<NoPlayer />}>
        <ul class="players" role="list" aria-label={t("rooms.players", { name: room().name })}>
          <For each={room().players}>{(p) => <PlayerRow player={p} room={room()} rooms={props.rooms} watch={props.watch} may={may} />}</For>
        </ul>
        <Plot room={room()} watch={props.watch} />
      </Show>
    </li>
  );
}

/** What plays in a room, and the keys to it. */
function Now(props: { room: RoomNow; watch: Watch; may: boolean }): JSX.Element {
  const room = () => props.room;
  const [seeking, setSeeking] = createSignal<number>();
  const place = (current: number, positionMs = 0) => act("PUT", path("rooms", room().id, "/place"), { current, positionMs: Math.round(positionMs) });
  const at = () => seeking() ?? props.watch.position(room());
  const next = () => (room().current + 1 < room().length ? room().current + 1 : room().repeat === "all" && room().length > 0 ? 0 : undefined);
  return (
    <Show
      when={room().track}
      fallback={
        <div class="room-now empty">
          <Cover id={room().id} has={false} name={room().name} size={64} />
          <div>
            <p class="room-title">{t("rooms.nothing")}</p>
            <p class="hint">{t("rooms.nothing.text")}</p>
          </div>
        </div>
      }
    >
      {(track) => (
        <>
          <div class="room-now">
            <Cover id={track().albumId ?? track().id} has={track().hasCover} name={track().album ?? track().title} size={64} />
            <div>
              <a class="room-title" dir="auto" href={href(`/rooms/${encodeURIComponent(room().id)}`)} title={t("rooms.open", { name: room().name })}>
                {track().title}
              </a>
              <p class="hint" dir="auto">
                {track().artist}
              </p>
            </div>
            <div class="transport">
              <IconButton icon="previous" label={t("rooms.previous", { name: room().name })} disabled={!props.may} onClick={() => place(props.watch.position(room()) > 3_000 ? room().current : Math.max(0, room().current - 1))} />
              <IconButton
                class="room-play"
                icon={room().playing ? "pause" : "play"}
                label={t(room().playing ? "rooms.pause" : "rooms.play", { name: room().name })}
                disabled={!props.may}
                onClick={() => act("POST", path("rooms", room().id, room().playing ? "/pause" : "/resume"))}
              />
              <IconButton icon="next" label={t("rooms.next", { name: room().name })} disabled={!props.may || next() === undefined} onClick={() => place(next() ?? 0)} />
            </div>
          </div>
          <div class="room-seek seek">
            <span aria-hidden="true">{clock(at())}</span>
            <Slider
              label={t("rooms.position", { name: room().name })}
              value={at()}
              max={track().durationMs}
              step={1_000}
              text={spoken(at())}
              onInput={setSeeking}
              onCommit={(ms) => {
                setSeeking(undefined);
                place(room().current, ms);
              }}
            />
            <span aria-hidden="true">{clock(track().durationMs)}</span>
          </div>
          <Show when={room().problem}>
            {(why) => (
              <p class="problem" role="alert">
                {why()}
              </p>
            )}
          </Show>
        </>
      )}
    </Show>
  );
}

/** A slider of 0 to 100 whose value is told as it moves, and is not pulled back by what the server says meanwhile. */
function LiveSlider(props: { label: string; value: number; onChange: (value: number) => Promise<unknown> }): JSX.Element {
  const [own, setOwn] = createSignal<number>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let busy = false;
  let wanted: number | undefined;
  const tell = () => {
    if (busy || wanted === undefined) return;
    busy = true;
    const value = wanted;
    wanted = undefined;
    props
      .onChange(value)
      .catch(complain)
      .finally(() => {
        busy = false;
        tell();
      });
  };
  return (
    <Slider
      label={props.label}
      value={own() ?? props.value}
      max={100}
      step={1}
      text={`${own() ?? props.value} %`}
      onInput={(value) => {
        setOwn(value);
        wanted = value;
        tell();
        clearTimeout(timer);
        timer = setTimeout(() => setOwn(undefined), 1_500);
      }}
    />
  );
}

/** Where a Snapcast client is told to connect to: the name by which this page was reached. */
const hostName = location.hostname;

function NoPlayer(): JSX.Element {
  return (
    <div class="no-player">
      <h3>{t("rooms.empty")}</h3>
      <p class="hint">{t("rooms.empty.text")}</p>
      <pre dir="ltr">
        <code>sudo apt install snapclient{"\n"}snapclient --host {hostName}</code>
      </pre>
      <p class="hint">{t("rooms.empty.more")}</p>
    </div>
  );
}

const kinds = new Set(["snapcast", "sendspin", "web"]);

function PlayerRow(props: { player: RoomPlayer; room: RoomNow; rooms: readonly RoomNow[]; watch: Watch; may: boolean }): JSX.Element {
  const p = () => props.player;
  const mine = () => p().id === playerId();
  const off = () => (p().connected === true && props.room.playing ? props.watch.errorOf(p().id) : undefined);
  const where = () => path("room-players", p().id);
  const state = () => {
    if (p().connected !== true) return t("rooms.away", { when: p().seen === undefined ? "–" : ago(Date.parse(p().seen ?? "")) });
    const error = off();
    if (error !== undefined) return t(error >= 0 ? "rooms.error.late" : "rooms.error.early", { by: micros(Math.abs(error)) });
    return t("rooms.connected");
  };
  const items = (): MenuItem[] => [
    { label: t("rooms.player.offset"), icon: "clock", run: () => setOffset(p()) },
    { label: t("rooms.player.rename"), icon: "edit", run: () => nameRoom(t("rooms.player.rename"), t("lists.save"), p().name, (name) => send("PUT", where(), { name })) },
    ...props.rooms.filter((r) => r.id !== props.room.id).map((r, i): MenuItem => ({ label: t("rooms.player.move", { name: r.name }), icon: "forward", apart: i === 0, run: () => act("PUT", where(), { room: r.id }) })),
    ...(p().connected === true
      ? []
      : [{ label: t("rooms.player.forget"), icon: "trash" as const, apart: true, run: () => send("DELETE", where()).then(() => say(t("rooms.player.forgotten", { name: p().name }))) }]),
  ];
  return (
    <li class="player-row" classList={{ away: p().connected !== true }}>
      <span class="dot" style={{ "--hue": String(hueOf(p().id)) }} aria-hidden="true" />
      <div class="player-name">
        <p dir="auto">
          {p().name}
          <Show when={mine()}>
            {" "}
            <small>({t("rooms.thisBrowser")})</small>
          </Show>
        </p>
        <p class="hint">
          {kinds.has(p().kind) ? t(`rooms.kind.${p().kind as "web"}`) : p().kind} · <span class="player-state">{state()}</span>
          <Show when={p().latencyMs !== 0}> · {t("rooms.offset.ms", { ms: p().latencyMs })}</Show>
        </p>
      </div>
      <IconButton
        icon={p().muted ? "muted" : "volume"}
        label={t(p().muted ? "rooms.unmute" : "rooms.mute", { name: p().name })}
        pressed={p().muted ?? false}
        disabled={!props.may}
        onClick={() => act("PUT", where(), { muted: !p().muted })}
      />
      <LiveSlider label={t("rooms.volume", { name: p().name })} value={p().volume} onChange={(volume) => send("PUT", where(), { volume })} />
      <Show when={props.may} fallback={<span />}>
        <Menu label={t("rooms.player.more", { name: p().name })} title={p().name} items={items} />
      </Show>
    </li>
  );
}

/** A hue of its own for every player, in its row and in the plot. */
const hueOf = (id: string): number => {
  let h = 0x811c9dc5;
  for (const c of id) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return h % 360;
};

/** Microseconds, or milliseconds from one on, as the language writes them. */
function micros(us: number): string {
  const small = Math.abs(us) < 1_000;
  return new Intl.NumberFormat(tag(), { style: "unit", unit: small ? "microsecond" : "millisecond", maximumFractionDigits: small ? 0 : 1 }).format(small ? us : us / 1_000);
}

/** How long ago something was, in the largest unit that fits. */
function ago(at: number): string {
  const format = new Intl.RelativeTimeFormat(tag(), { numeric: "auto" });
  const seconds = (at - Date.now()) / 1_000;
  for (const [unit, length] of [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const) if (-seconds >= length) return format.format(Math.round(seconds / length), unit);
  return format.format(Math.round(seconds), "second");
}

const plot = { width: 320, height: 84 } as const;

/** How far off every player was in the last minutes, in µs: a line each, about the zero line. */
function Plot(props: { room: RoomNow; watch: Watch }): JSX.Element {
  const lines = createMemo(() =>
    props.room.players.flatMap((p) => {
      const steps = props.watch.steps().get(p.id) ?? [];
      return steps.length < 2 ? [] : [{ id: p.id, name: p.name, steps }];
    }),
  );
  /** What the plot reaches to either way: a round number that holds nearly all. */
  const reach = createMemo(() => {
    const sizes = lines().flatMap((l) => l.steps.map((s) => Math.abs(s.errorUs))).sort((a, b) => a - b);
    const most = sizes[Math.floor(sizes.length * 0.98)] ?? 0;
    return [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000].find((r) => r >= most) ?? 1_000_000;
  });
  const x = (s: Step) => plot.width * (1 - Math.min(1, (props.watch.now() - s.at) / stepsMs));
  const y = (us: number) => plot.height / 2 - Math.max(-1, Math.min(1, us / reach())) * (plot.height / 2 - 2);
  /** A line, broken where a player was silent. */
  const draw = (steps: readonly Step[]) => steps.map((s, i) => `${i === 0 || s.at - (steps[i - 1]?.at ?? 0) > 5_000 ? "M" : "L"}${x(s).toFixed(1)} ${y(s.errorUs).toFixed(1)}`).join("");
  const said = () =>
    new Intl.ListFormat(tag()).format(
      lines().map((l) => {
        const now = props.watch.errorOf(l.id);
        return `${l.name}: ${now === undefined ? "–" : t(now >= 0 ? "rooms.error.late" : "rooms.error.early", { by: micros(Math.abs(now)) })}`;
      }),
    );
  return (
    <Show when={lines().length > 0}>
      <figure class="plot">
        <svg viewBox={`0 0 ${plot.width} ${plot.height}`} role="img" aria-label={t("rooms.plot", { name: props.room.name, now: said() })} preserveAspectRatio="none">
          <line class="zero" x1="0" x2={plot.width} y1={plot.height / 2} y2={plot.height / 2} />
          <For each={lines()}>{(l) => <path d={draw(l.steps)} style={{ "--hue": String(hueOf(l.id)) }} />}</For>
        </svg>
        <span class="plot-high">+{micros(reach())}</span>
        <span class="plot-low">−{micros(reach())}</span>
        <figcaption>
          <span>{t("rooms.plot.ago")}</span>
          <span>{t("rooms.plot.now")}</span>
        </figcaption>
      </figure>
    </Show>
  );
}

const offsetRange = { min: -200, max: 1_000 } as const;

/** Lets somebody set by ear how much earlier a player plays. */
function setOffset(p: RoomPlayer): Promise<unknown> {
  const [ms, setMs] = createSignal(p.latencyMs);
  let timer: ReturnType<typeof setTimeout> | undefined;
  return openDialog(t("rooms.offset.title", { name: p.name }), (close) => (
    <div class="stack">
      <Dial
        label={t("rooms.offset")}
        min={Math.min(offsetRange.min, p.latencyMs)}
        max={Math.max(offsetRange.max, p.latencyMs)}
        step={1}
        value={ms()}
        text={t("rooms.offset.ms", { ms: ms() })}
        hint={t("rooms.offset.hint")}
        onInput={(v) => {
          setMs(v);
          clearTimeout(timer);
          timer = setTimeout(() => act("PUT", path("room-players", p.id), { latencyMs: v }), 150);
        }}
      />
      <div class="sheet-end">
        <button type="button" class="button primary" onClick={() => close()}>
          {t("lists.close")}
        </button>
      </div>
    </div>
  ));
}

function nameRoom(title: string, action: string, before: string, keep: (name: string) => Promise<unknown>): Promise<unknown> {
  const [name, setName] = createSignal(before);
  return openDialog(title, (close) => (
    <Form action={action} submit={async () => { await keep(name().trim()); }} close={() => close()}>
      <label class="field">
        {t("rooms.name")}
        <input required maxlength="100" dir="auto" autocomplete="off" value={name()} onInput={(e) => setName(e.currentTarget.value)} />
      </label>
    </Form>
  ));
}

async function remove(room: RoomNow): Promise<void> {
  if (!(await confirm(t("rooms.delete"), t("rooms.delete.text", { name: room.name }), t("rooms.delete")))) return;
  await send("DELETE", path("rooms", room.id));
  say(t("rooms.deleted", { name: room.name }));
  go("/rooms");
}
