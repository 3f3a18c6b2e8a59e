import { createSignal, For, type JSX, Show } from "solid-js";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { about, clock, count } from "../ui/format";
import { albumPath, Bars, Credit } from "../ui/music";
import { Cover, IconButton, Message, StarButton } from "../ui/parts";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";
import { Seek, Transport } from "./bar";

/** What plays, large, with what comes next. On a phone this is where the player is worked. */
export function NowPlaying(): JSX.Element {
  useTitle(() => "Queue");
  const player = usePlayer();
  const [tint, setTint] = createSignal<string>();
  /** What is left to hear, the rest of what plays included. */
  const rest = () => Math.max(0, player.state.durationMs - player.state.positionMs) + player.state.queue.entries.slice(player.state.queue.current + 1).reduce((ms, e) => ms + e.track.durationMs, 0);
  return (
    <Show
      when={player.current()}
      fallback={
        <Message icon="queue" title="The queue is empty">
          <p>Play an album, or add tracks with the plus beside them.</p>
        </Message>
      }
    >
      {(entry) => (
        <div class="now" style={{ "--tint": tint() }}>
          <section class="now-track" aria-label="Now playing">
            <Cover id={entry().track.albumId ?? entry().track.id} has={entry().track.hasCover} name={entry().track.album ?? entry().track.title} size={480} eager onColor={(img) => setTint(tintOf(img))} />
            <div class="now-text">
              <div>
                <h1>{entry().track.title}</h1>
                <p class="hero-credit">
                  <Credit text={entry().track.artist} artists={entry().track.artists} />
                </p>
                <Show when={entry().track.albumId}>{(id) => <p class="muted"><a href={href(albumPath(id()))}>{entry().track.album}</a></p>}</Show>
              </div>
              <StarButton thing={entry().track} name={entry().track.title} />
            </div>
            <div class="now-controls">
              <Seek />
              <Transport large />
            </div>
          </section>
          <section class="now-queue" aria-label="Queue">
            <header>
              <h2>Queue</h2>
              <p class="muted">
                {count(player.state.queue.entries.length, "track")}
                <Show when={rest() > 0}>, {about(rest())} to come</Show>
              </p>
              <IconButton icon="shuffle" label="Shuffle what is to come" onClick={() => player.shuffle()} />
              <button
                type="button"
                class="button small"
                onClick={() => {
                  player.clear();
                  document.getElementById("main")?.focus();
                }}
              >
                Clear
              </button>
            </header>
            <ol class="tracks">
              <For each={player.state.queue.entries}>
                {(e, i) => (
                  <li class="track" classList={{ current: e.key === entry().key, past: i() < player.state.queue.current, playing: e.key === entry().key && player.state.playing }}>
                    <span class="track-number" aria-hidden="true">
                      <Cover id={e.track.albumId ?? e.track.id} has={e.track.hasCover} name={e.track.album ?? e.track.title} size={44} />
                      <Show when={e.key === entry().key}>
                        <Bars still={!player.state.playing} />
                      </Show>
                    </span>
                    <div class="track-main">
                      <button type="button" class="track-title" aria-label={`Play ${e.track.title} by ${e.track.artist}`} aria-current={e.key === entry().key ? "true" : undefined} onClick={() => player.jump(i())}>
                        {e.track.title}
                      </button>
                      <span class="track-artist">{e.track.artist}</span>
                    </div>
                    <span class="track-actions">
                      <IconButton icon="remove" label={`Remove ${e.track.title} from the queue`} onClick={(event) => removeFrom(event, () => player.remove(e.key))} />
                    </span>
                    <span class="track-time">{clock(e.track.durationMs)}</span>
                  </li>
                )}
              </For>
            </ol>
          </section>
        </div>
      )}
    </Show>
  );
}

/** Removes a row, and gives the focus to what comes to its place, so that a keyboard goes on from there. */
function removeFrom(event: MouseEvent, remove: () => void): void {
  const row = event.currentTarget instanceof Element ? event.currentTarget.closest("li") : null;
  const next = row?.nextElementSibling ?? row?.previousElementSibling;
  remove();
  (next?.querySelector<HTMLElement>(".track-actions button") ?? document.getElementById("main"))?.focus();
}
