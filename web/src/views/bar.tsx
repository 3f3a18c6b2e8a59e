import { createSignal, type JSX, Show } from "solid-js";
import type { Station, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { href, place } from "../router";
import { clock, spoken } from "../ui/format";
import { Icon } from "../ui/icons";
import { albumPath, Credit } from "../ui/music";
import { Cover, IconButton, Slider, StarButton } from "../ui/parts";
import { createStationTitle } from "../ui/station";
import { t } from "../words";
import "./bar.css";

/** Where in the track we are. While it is dragged the music plays on, and goes there when it is let go. */
export function createSeek() {
  const player = usePlayer();
  const [dragged, setDragged] = createSignal<number>();
  const at = () => dragged() ?? player.state.positionMs;
  return {
    at,
    text: () => t("lists.seek.text", { at: spoken(at()), of: spoken(player.state.durationMs) }),
    drag: (ms: number) => void setDragged(ms),
    drop: (ms: number) => {
      setDragged(undefined);
      player.seek(ms);
    },
  };
}

function Seek(): JSX.Element {
  const player = usePlayer();
  const seek = createSeek();
  return (
    <div class="seek" dir="ltr">
      <span class="time" aria-hidden="true">
        {clock(seek.at())}
      </span>
      <Slider label={t("lists.seek")} value={seek.at()} max={player.state.durationMs} step={1000} text={seek.text()} onInput={seek.drag} onCommit={seek.drop} />
      <span class="time" aria-hidden="true">
        {clock(player.state.durationMs)}
      </span>
    </div>
  );
}

export function Transport(props: { large?: boolean }): JSX.Element {
  const player = usePlayer();
  const live = () => player.state.station !== undefined;
  const repeat = () => t(`lists.repeat.${player.state.repeat}`);
  return (
    <div class="transport" classList={{ large: props.large ?? false }}>
      <Show when={!live()}>
        <IconButton class="minor" icon="shuffle" label={t("lists.queue.shuffle")} onClick={() => player.shuffle()} />
        <IconButton icon="previous" label={t("lists.previous")} onClick={() => player.previous()} />
      </Show>
      <IconButton
        class={`play ${player.state.waiting ? "waits" : ""}`}
        icon={player.state.playing ? "pause" : "play"}
        label={t(player.state.playing ? "lists.pause" : "lists.play")}
        onClick={() => player.toggle()}
      />
      <Show when={!live()}>
        <IconButton icon="next" label={t("lists.next")} onClick={() => player.next()} />
        <button type="button" class="icon-button minor repeat" classList={{ one: player.state.repeat === "one" }} aria-label={repeat()} title={repeat()} aria-pressed={player.state.repeat !== "off"} onClick={() => player.cycleRepeat()}>
          <Icon name="repeat" />
        </button>
      </Show>
    </div>
  );
}

export function Volume(): JSX.Element {
  const player = usePlayer();
  const silent = () => player.state.muted || player.state.volume === 0;
  return (
    <>
      <IconButton icon={silent() ? "muted" : "volume"} label={t("lists.mute")} pressed={player.state.muted} onClick={() => player.toggleMute()} />
      <Slider
        class="volume"
        label={t("lists.volume")}
        value={player.state.muted ? 0 : player.state.volume}
        max={1}
        step={0.01}
        text={player.state.muted ? t("lists.muted") : t("lists.percent", { count: Math.round(player.state.volume * 100) })}
        onInput={(v) => player.setVolume(v)}
      />
    </>
  );
}

/** The picture of a track: its album's, where it has one. */
export const coverOf = (track: Track) => ({ id: track.albumId ?? track.id, has: track.hasCover, name: track.album ?? track.title });

/** The player at the foot of every view but the one that is all about it. */
export function PlayerBar(): JSX.Element {
  const player = usePlayer();
  return (
    <Show when={place().path !== "/playing"}>
      <Show when={player.state.station} keyed fallback={<Show when={player.current()}>{(entry) => <TrackBar track={entry().track} />}</Show>}>
        {(station) => <StationBar station={station} />}
      </Show>
    </Show>
  );
}

function TrackBar(props: { track: Track }): JSX.Element {
  const player = usePlayer();
  const album = () => props.track.albumId;
  return (
    <section class="bar" aria-label={t("lists.player")}>
      <div class="bar-progress" aria-hidden="true" style={{ "--part": `${(player.state.positionMs / Math.max(1, player.state.durationMs)) * 100}%` }} />
      <div class="bar-track">
        <a class="bar-cover" href={href("/playing")} aria-label={t("lists.toPlaying")}>
          <Cover {...coverOf(props.track)} size={56} eager />
        </a>
        <div class="bar-text">
          <a class="bar-title" dir="auto" href={href(album() !== undefined ? albumPath(album() ?? "") : "/playing")}>
            {props.track.title}
          </a>
          <span class="bar-artist" dir="auto">
            <Show when={player.state.problem} fallback={<Credit text={props.track.artist} artists={props.track.artists} />}>
              <span class="bar-problem">{player.state.problem}</span>
            </Show>
          </span>
        </div>
        <StarButton class="minor" thing={props.track} name={props.track.title} />
      </div>
      <div class="bar-middle">
        <Transport />
        <Seek />
      </div>
      <div class="bar-end">
        <Show when={player.state.sleep}>
          <a class="icon-button bar-sleep" href={href("/playing?panel=details")} aria-label={t("lists.sleep.on")} title={t("lists.sleep.on")}>
            <Icon name="moon" />
          </a>
        </Show>
        <Show when={props.track.hasLyrics}>
          <a class="icon-button" href={href("/playing?panel=lyrics")} aria-label={t("lists.lyrics")} title={t("lists.lyrics")}>
            <Icon name="lyrics" />
          </a>
        </Show>
        <Volume />
      </div>
    </section>
  );
}

function StationBar(props: { station: Station }): JSX.Element {
  const player = usePlayer();
  const title = createStationTitle(() => props.station);
  return (
    <section class="bar" aria-label={t("lists.player")}>
      <div class="bar-track">
        <a class="bar-cover" href={href("/playing")} aria-label={t("lists.toPlaying")}>
          <Cover id={props.station.id} has={false} name={props.station.name} size={56} eager />
        </a>
        <div class="bar-text">
          <a class="bar-title" dir="auto" href={href("/radio")}>
            {props.station.name}
          </a>
          <span class="bar-artist" dir="auto">
            <Show when={player.state.problem} fallback={title()}>
              <span class="bar-problem">{player.state.problem}</span>
            </Show>
          </span>
        </div>
      </div>
      <div class="bar-middle">
        <Transport />
        <span class="bar-live">{t("lists.radio.live")}</span>
      </div>
      <div class="bar-end">
        <Volume />
      </div>
    </section>
  );
}
