import { createEffect, createMemo, createSignal, type JSX, on, Show } from "solid-js";
import { get, send } from "../api/client";
import { can } from "../api/state";
import type { Room, Track } from "../api/wire";
import { href } from "../router";
import type { ViewProps } from "../routes";
import { watchRooms } from "../rooms/watch";
import { SortableList } from "../ui/drag";
import { Icon } from "../ui/icons";
import { ListRow, rowHeight } from "../ui/listrow";
import { moved } from "../ui/order";
import { Await, complain, Message, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t } from "../words";
import "./rooms.css";

interface Row {
  readonly track: Track;
}

/** The queue of a room. */
export function RoomView(props: ViewProps): JSX.Element {
  const watch = watchRooms();
  const now = createMemo(() => watch.rooms()?.find((r) => r.id === props.id));
  const [room, setRoom] = createSignal<Room>();
  const [error, setError] = createSignal<Error>();
  const [attempt, setAttempt] = createSignal(0);
  const where = () => `rooms/${encodeURIComponent(props.id)}`;
  useTitle(() => now()?.name ?? t("rooms.title"));
  createEffect(
    on(
      () => [props.id, now()?.queue, attempt()] as const,
      () => {
        setError(undefined);
        get<Room>(where()).then(setRoom, (cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))));
      },
    ),
  );
  /** Rows are objects of their own: the same track may stand in the queue twice. */
  const [rows, setRows] = createSignal<readonly Row[]>([]);
  createEffect(
    on(room, (r) => {
      if (!saving) setRows((r?.tracks ?? []).map((track) => ({ track })));
    }),
  );
  /** Which row plays, as far as it is known here: the server's word of a queue that was just rearranged is on its way. */
  const current = () => ahead() ?? now()?.current ?? -1;
  const [ahead, setAhead] = createSignal<number>();
  let saving = false;
  let wanted: { tracks: string[]; current: number } | undefined;
  /** Changes wait for one another, and only the last of those that waited is sent. */
  const save = async (): Promise<void> => {
    if (saving) return;
    saving = true;
    try {
      while (wanted !== undefined) {
        const order = wanted;
        wanted = undefined;
        await send("PUT", `${where()}/order`, order);
      }
    } finally {
      wanted = undefined;
      saving = false;
      setAhead(undefined);
      setAttempt((n) => n + 1);
    }
  };
  /** Makes the queue another one; what plays goes on, wherever it stands now. */
  const arrange = (next: readonly Row[]) => {
    const playing = rows()[current()];
    const kept = playing === undefined ? -1 : next.indexOf(playing);
    const place = kept >= 0 ? kept : Math.max(0, Math.min(current(), next.length - 1));
    setRows(next);
    setAhead(next.length === 0 ? -1 : place);
    wanted = { tracks: next.map((r) => r.track.id), current: place };
    save().catch(complain);
  };
  const undo = () => void send("POST", `${where()}/undo`).catch(complain);
  const clear = () => {
    send("PUT", `${where()}/queue`, { tracks: [] }).then(() => say(t("rooms.cleared", { name: now()?.name ?? "" }), false, { name: t("lists.undo"), run: undo }), complain);
  };
  return (
    <>
      <header class="view-head">
        <div>
          <p class="crumb">
            <a href={href("/rooms")}>{t("rooms.back")}</a>
          </p>
          <h1 dir="auto">{now()?.name ?? room()?.name ?? ""}</h1>
          <p class="muted">{t("lists.tracks", { count: rows().length })}</p>
        </div>
        <Show when={can("stream") && rows().length > 0}>
          <button type="button" class="button" onClick={clear}>
            <Icon name="remove" /> {t("rooms.clear")}
          </button>
        </Show>
        <Show when={can("stream") && rows().length === 0 && now()?.undo === true}>
          <button type="button" class="button" onClick={undo}>
            {t("rooms.undo")}
          </button>
        </Show>
      </header>
      <Await value={room()} error={error()} retry={() => setAttempt((n) => n + 1)}>
        {() => (
          <Show
            when={rows().length > 0}
            fallback={
              <Message icon="queue" title={t("rooms.nothing")}>
                <p>{t("rooms.nothing.text")}</p>
              </Message>
            }
          >
            <SortableList
              rows={rows()}
              rowHeight={rowHeight}
              label={t("rooms.queue")}
              nameOf={(r) => r.track.title}
              showFirst={now()?.current ?? 0}
              {...(can("stream") ? { onMove: (from: number, to: number) => arrange(moved(rows(), from, to)), onRemove: (i: number) => arrange(rows().toSpliced(i, 1)) } : {})}
              rowClass={(_, i) => ({ current: i === current(), past: i < current() })}
            >
              {(r, place) => (
                <ListRow
                  track={r.track}
                  current={place.index() === current()}
                  playing={now()?.playing ?? false}
                  onPlay={() => {
                    send("PUT", `${where()}/place`, { current: place.index(), positionMs: 0 })
                      .then(() => (now()?.playing === true ? undefined : send("POST", `${where()}/resume`)))
                      .catch(complain);
                  }}
                  {...(can("stream") ? { onRemove: place.remove, removeLabel: t("rooms.queue.remove", { title: r.track.title }) } : {})}
                  handle={place.handle()}
                />
              )}
            </SortableList>
          </Show>
        )}
      </Await>
    </>
  );
}
