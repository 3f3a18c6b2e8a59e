import { createSignal, type JSX, Show } from "solid-js";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { clock, spoken } from "../ui/format";
import { Icon } from "../ui/icons";
import { albumPath, Credit } from "../ui/music";
import { Cover, IconButton, Slider, StarButton } from "../ui/parts";

/** Where in the track we are. While it is dragged the music plays on, and goes there when it is let go. */
export function Seek(): JSX.Element {
  const player = usePlayer();
  const [dragged, setDragged] = createSignal<number>();
  const at = () => dragged() ?? player.state.positionMs;
  return (
    <div class="seek">
      <span class="time" aria-hidden="true">
        {clock(at())}
      </span>
      <Slider
        label="Position"
        value={at()}
        max={player.state.durationMs}
        step={1000}
        text={`${spoken(at())} of ${spoken(player.state.durationMs)}`}
        onInput={setDragged}
        onCommit={(ms) => {
          setDragged(undefined);
          player.seek(ms);
        }}
      />
      <span class="time" aria-hidden="true">
        {clock(player.state.durationMs)}
      </span>
    </div>
  );
}

const repeatNames = { off: "Repeat: off", all: "Repeat: whole queue", one: "Repeat: this track" } as const;

export function Transport(props: { large?: boolean }): JSX.Element {
  const player = usePlayer();
  return (
    <div class="transport" classList={{ large: props.large ?? false }}>
      <IconButton class="minor" icon="shuffle" label="Shuffle what is to come" onClick={() => player.shuffle()} />
      <IconButton icon="previous" label="Previous" onClick={() => player.previous()} />
      <IconButton
        class={`play ${player.state.waiting ? "waits" : ""}`}
        icon={player.state.playing ? "pause" : "play"}
        label={player.state.playing ? "Pause" : "Play"}
        onClick={() => player.toggle()}
      />
      <IconButton icon="next" label="Next" onClick={() => player.next()} />
      <button type="button" class="icon-button minor repeat" classList={{ one: player.state.repeat === "one" }} aria-label={repeatNames[player.state.repeat]} title={repeatNames[player.state.repeat]} aria-pressed={player.state.repeat !== "off"} onClick={() => player.cycleRepeat()}>
        <Icon name="repeat" />
      </button>
    </div>
  );
}

export function PlayerBar(): JSX.Element {
  const player = usePlayer();
  return (
    <Show when={player.current()}>
      {(entry) => (
        <section class="bar" aria-label="Player">
          <div class="bar-progress" aria-hidden="true" style={{ "--part": `${(player.state.positionMs / Math.max(1, player.state.durationMs)) * 100}%` }} />
          <div class="bar-track">
            <a class="bar-cover" href={href("/playing")} aria-label="Now playing and queue">
              <Cover id={entry().track.albumId ?? entry().track.id} has={entry().track.hasCover} name={entry().track.album ?? entry().track.title} size={56} eager />
            </a>
            <div class="bar-text">
              <a class="bar-title" href={href(entry().track.albumId !== undefined ? albumPath(entry().track.albumId ?? "") : "/playing")}>
                {entry().track.title}
              </a>
              <span class="bar-artist">
                <Show when={player.state.problem} fallback={<Credit text={entry().track.artist} artists={entry().track.artists} />}>
                  <span class="problem">{player.state.problem}</span>
                </Show>
              </span>
            </div>
            <StarButton class="minor" thing={entry().track} name={entry().track.title} />
          </div>
          <div class="bar-middle">
            <Transport />
            <Seek />
          </div>
          <div class="bar-end">
            <IconButton icon={player.state.muted || player.state.volume === 0 ? "muted" : "volume"} label="Mute" pressed={player.state.muted} onClick={() => player.toggleMute()} />
            <Slider
              class="volume"
              label="Volume"
              value={player.state.muted ? 0 : player.state.volume}
              max={1}
              step={0.01}
              text={player.state.muted ? "muted" : `${Math.round(player.state.volume * 100)} per cent`}
              onInput={(v) => player.setVolume(v)}
            />
          </div>
        </section>
      )}
    </Show>
  );
}
