import { createEffect, createMemo, createSignal, createUniqueId, For, type JSX, Match, on, onCleanup, onMount, Show, Switch } from "solid-js";
import { can } from "../api/state";
import type { Station, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { go, href, place, replace } from "../router";
import { createDark } from "../ui/dark";
import { clock } from "../ui/format";
import { albumPath, Credit } from "../ui/music";
import { complain, Cover, IconButton, Message, StarButton } from "../ui/parts";
import { createStationTitle } from "../ui/station";
import { propertiesOf, schemeOf, type Swatch, swatchesOfImage } from "../ui/tint";
import { useTitle } from "../ui/title";
import { createOutline, Waveform } from "../ui/waveform";
import { t } from "../words";
import { coverOf, createSeek, Transport, Volume } from "./bar";
import { Details, formatOf, verdictOf } from "./details";
import { LyricsPanel } from "./lyrics";
import { QueuePanel } from "./queue";
import { openSoundNow } from "./soundnow";
import "./playing.css";

const panels = ["queue", "lyrics", "details"] as const;
type Panel = (typeof panels)[number];

/** What plays, as large as the screen: its cover and colours, its outline, its words, and what comes next. */
export function NowPlaying(): JSX.Element {
  useTitle(() => t("lists.playing"));
  const player = usePlayer();
  return (
    <Show
      when={player.state.station}
      keyed
      fallback={
        <Show
          when={player.current()}
          fallback={
            <Message whole icon="queue" title={t("lists.queue.empty")} action={<a class="button primary" href={href("/")}>{t("lists.queue.toMusic")}</a>}>
              <p>{t("lists.queue.empty.text")}</p>
            </Message>
          }
        >
          {(entry) => <Stage track={entry().track} />}
        </Show>
      }
    >
      {(station) => <StationStage station={station} />}
    </Show>
  );
}

/** The colours of a view that a picture lights. */
function createScheme() {
  const dark = createDark();
  const [swatches, setSwatches] = createSignal<readonly Swatch[]>([]);
  const style = createMemo(() => propertiesOf(schemeOf(swatches(), dark())));
  return { style, of: (image: HTMLImageElement) => setSwatches(swatchesOfImage(image)), none: () => setSwatches([]) };
}

function Stage(props: { track: Track }): JSX.Element {
  const player = usePlayer();
  const scheme = createScheme();
  const seek = createSeek();
  const outline = createOutline(() => props.track.id);
  const panel = (): Panel => panels.find((p) => p === place().query.get("panel")) ?? "queue";
  const show = (p: Panel) => replace(p === "queue" ? "/playing" : `/playing?panel=${p}`);
  let stage!: HTMLDivElement;
  const [full, setFull] = createSignal(false);
  createEffect(() => {
    if (!props.track.hasCover) scheme.none();
  });
  const fullScreen = () => {
    (full() ? document.exitFullscreen() : stage.requestFullscreen()).catch(complain);
  };
  onMount(() => {
    const changed = () => setFull(document.fullscreenElement === stage);
    document.addEventListener("fullscreenchange", changed);
    onCleanup(() => {
      document.removeEventListener("fullscreenchange", changed);
    });
  });
  const addTo = async () => (await import("./addtoplaylist")).openAddToPlaylist([props.track]);
  const share = async () => (await import("./sharedialog")).openShare([props.track.id], props.track.title);

  return (
    <div ref={stage} class="stage" classList={{ resting: !player.state.playing }} style={scheme.style()}>
      <section class="stage-track" aria-label={t("lists.playing")}>
        <div class="stage-cover">
          <Cover {...coverOf(props.track)} size={640} eager onColor={scheme.of} />
        </div>
        <section class="stage-player" aria-label={t("lists.player")}>
          <div class="stage-text">
            <div>
              <h1 dir="auto">{props.track.title}</h1>
              <p class="stage-credit" dir="auto">
                <Credit text={props.track.artist} artists={props.track.artists} />
              </p>
              <Show when={props.track.albumId}>
                {(id) => (
                  <p class="stage-album" dir="auto">
                    <a href={href(albumPath(id()))}>{props.track.album}</a>
                  </p>
                )}
              </Show>
              <Show when={player.state.problem}>
                <p class="stage-problem" role="alert">
                  {player.state.problem}
                </p>
              </Show>
            </div>
            <div class="stage-actions">
              <StarButton thing={props.track} name={props.track.title} />
              <Show when={can("playlist")}>
                <IconButton
                  icon="playlists"
                  label={t("lists.playlists.addTo")}
                  onClick={() => {
                    addTo().catch(complain);
                  }}
                />
              </Show>
              <Show when={can("share")}>
                <IconButton
                  icon="share"
                  label={t("lists.share.title", { name: props.track.title })}
                  onClick={() => {
                    share().catch(complain);
                  }}
                />
              </Show>
            </div>
          </div>
          <div class="seek-wave" dir="ltr">
            <Waveform
              outline={outline()}
              label={t("lists.seek")}
              text={seek.text()}
              value={seek.at()}
              max={player.state.durationMs}
              fetched={player.state.positionMs + player.state.bufferedMs}
              playing={player.state.playing}
              onInput={seek.drag}
              onCommit={seek.drop}
            />
            <span class="time" aria-hidden="true">
              {clock(seek.at())}
            </span>
            <span class="time" aria-hidden="true">
              −{clock(Math.max(0, player.state.durationMs - seek.at()))}
            </span>
          </div>
          <div class="stage-controls">
            <button type="button" class="stage-tech" onClick={() => show("details")}>
              <span>{formatOf(player.state.delivered, props.track)}</span>
              <Show when={player.state.delivered}>{(d) => <small>{verdictOf(d())}</small>}</Show>
            </button>
            <Transport large />
            <div class="stage-end">
              <span class="volume-button">
                <Volume />
              </span>
              <IconButton
                icon="sound"
                label={t("lists.now.title")}
                pressed={player.state.sleep !== undefined || player.state.speed !== 1}
                onClick={() => {
                  openSoundNow(player).catch(complain);
                }}
              />
              <Show when={document.fullscreenEnabled}>
                <IconButton icon="fullscreen" label={t(full() ? "lists.fullScreen.leave" : "lists.fullScreen")} onClick={fullScreen} />
              </Show>
            </div>
          </div>
        </section>
      </section>
      <Panels panel={panel()} show={show} track={props.track} />
    </div>
  );
}

function Panels(props: { panel: Panel; show: (panel: Panel) => void; track: Track }): JSX.Element {
  const id = createUniqueId();
  let scroll!: HTMLDivElement;
  createEffect(
    on(
      () => [props.panel, props.panel === "queue" ? "" : props.track.id],
      () => (scroll.scrollTop = 0),
      { defer: true },
    ),
  );
  // On a phone the panel lies below the player: who asks for one is taken there.
  createEffect(
    on(
      () => place().query.get("panel"),
      (asked) => {
        if (asked !== null && matchMedia("(max-width: 860px)").matches) requestAnimationFrame(() => scroll.parentElement?.scrollIntoView());
      },
    ),
  );
  const keys = (e: KeyboardEvent) => {
    const at = panels.indexOf(props.panel);
    const forward = getComputedStyle(scroll).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const to = e.key === "Home" ? 0 : e.key === "End" ? panels.length - 1 : e.key === "ArrowLeft" || e.key === "ArrowRight" ? at + (e.key === forward ? 1 : panels.length - 1) : undefined;
    const next = to === undefined ? undefined : panels[to % panels.length];
    if (next === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    props.show(next);
    document.getElementById(`${id}-${next}`)?.focus();
  };
  return (
    <section class="stage-panel" aria-label={t("lists.panels")}>
      <div class="tabs" role="tablist" aria-label={t("lists.panels")} onKeyDown={keys}>
        <For each={panels}>
          {(p) => (
            <button
              type="button"
              role="tab"
              id={`${id}-${p}`}
              aria-selected={props.panel === p}
              aria-controls={`${id}-panel`}
              tabindex={props.panel === p ? 0 : -1}
              onClick={() => props.show(p)}
            >
              {t(`lists.panel.${p}`)}
            </button>
          )}
        </For>
      </div>
      <div ref={scroll} class="panel-scroll" classList={{ "of-lyrics": props.panel === "lyrics" }} role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${props.panel}`} tabindex="0">
        <Switch>
          <Match when={props.panel === "queue"}>
            <QueuePanel />
          </Match>
          <Match when={props.panel === "lyrics"}>
            <LyricsPanel track={props.track} />
          </Match>
          <Match when={props.panel === "details"}>
            <Details track={props.track} />
          </Match>
        </Switch>
      </div>
    </section>
  );
}

function StationStage(props: { station: Station }): JSX.Element {
  const player = usePlayer();
  const scheme = createScheme();
  const title = createStationTitle(() => props.station);
  return (
    <div class="stage of-station" classList={{ resting: !player.state.playing }} style={scheme.style()}>
      <section class="stage-track" aria-label={t("lists.playing")}>
        <div class="stage-cover">
          <Cover id={props.station.id} has={false} name={props.station.name} size={640} eager />
        </div>
        <section class="stage-player" aria-label={t("lists.player")}>
          <div class="stage-text">
            <div>
              <h1 dir="auto">{props.station.name}</h1>
              <p class="stage-credit" dir="auto" aria-live="polite">
                {title()}
              </p>
              <Show when={player.state.problem}>
                <p class="stage-problem" role="alert">
                  {player.state.problem}
                </p>
              </Show>
            </div>
          </div>
          <p class="now-live">{t("lists.radio.live")}</p>
          <div class="stage-controls">
            <button type="button" class="stage-tech" onClick={() => go("/radio")}>
              {t("lists.radio.all")}
            </button>
            <Transport large />
            <div class="stage-end">
              <span class="volume-button">
                <Volume />
              </span>
              <IconButton
                icon="sound"
                label={t("lists.now.title")}
                pressed={player.state.sleep !== undefined}
                onClick={() => {
                  openSoundNow(player).catch(complain);
                }}
              />
            </div>
          </div>
        </section>
      </section>
    </div>
  );
}
