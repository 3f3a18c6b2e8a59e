import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { AlbumReply, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { about, count, year } from "../ui/format";
import { Icon } from "../ui/icons";
import { Credit, TrackList } from "../ui/music";
import { KeepButton } from "../ui/keep";
import { Await, Cover, say, StarButton } from "../ui/parts";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";

interface DiscOfTracks {
  number: number;
  title: string;
  tracks: Track[];
}

function byDisc(album: AlbumReply): DiscOfTracks[] {
  const discs: DiscOfTracks[] = [];
  for (const t of album.tracks) {
    const number = t.disc ?? 1;
    let d = discs.at(-1);
    if (d?.number !== number) {
      d = { number, title: album.discTitles?.find((x) => x.disc === number)?.title ?? "", tracks: [] };
      discs.push(d);
    }
    d.tracks.push(t);
  }
  return discs;
}

/** What the music is like, in a word or two: "FLAC 24/96" or "MP3". */
function quality(album: AlbumReply): string {
  const names = [...new Set(album.tracks.map((t) => t.codec.toUpperCase()))];
  const t = album.tracks[0];
  if (names.length === 1 && t?.lossless && (t.bitDepth ?? 0) > 0) {
    return `${names[0] ?? ""} ${t.bitDepth ?? ""}/${(t.sampleRate ?? 0) / 1000}`;
  }
  return names.length > 2 ? "" : names.join(", ");
}

export function AlbumView(props: { id: string }): JSX.Element {
  const player = usePlayer();
  const loaded = load<AlbumReply>(() => ({ path: `albums/${encodeURIComponent(props.id)}` }));
  const [tint, setTint] = createSignal<string>();
  useTitle(() => loaded.value()?.name ?? "Album");

  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(album) => {
        const discs = createMemo(() => byDisc(album()));
        return (
          <div class="album" style={{ "--tint": tint() }}>
            <header class="hero">
              <Cover id={album().id} has={album().hasCover} name={album().name} size={320} eager onColor={(img) => setTint(tintOf(img))} />
              <div class="hero-text">
                <p class="eyebrow">{album().releaseTypes?.[0] ?? (album().compilation ? "Compilation" : "Album")}</p>
                <h1>{album().name}</h1>
                <p class="hero-credit">
                  <Credit text={album().artist} artists={album().artists} />
                </p>
                <p class="facts">
                  <For each={[year(album().originalDate ?? album().date), ...(album().genres?.slice(0, 2) ?? []), count(album().trackCount, "track"), about(album().durationMs)].filter((s) => s !== "")}>
                    {(fact) => <span>{fact}</span>}
                  </For>
                  <Show when={quality(album())}>{(q) => <span class="badge">{q()}</span>}</Show>
                </p>
                <div class="actions">
                  <button type="button" class="button primary" onClick={() => player.play(album().tracks)}>
                    <Icon name="play" /> Play
                  </button>
                  <button type="button" class="button" onClick={() => player.playShuffled(album().tracks)}>
                    <Icon name="shuffle" /> Shuffle
                  </button>
                  <button
                    type="button"
                    class="button"
                    onClick={() => {
                      player.addLast(album().tracks);
                      say(`Added “${album().name}” to the queue`);
                    }}
                  >
                    <Icon name="add" /> Queue
                  </button>
                  <StarButton thing={album()} name={album().name} />
                  <KeepButton id={album().id} name={album().name} />
                </div>
              </div>
            </header>
            <For each={discs()}>
              {(d) => (
                <section>
                  <Show when={discs().length > 1 || d.title !== ""}>
                    <h2 class="disc">
                      Disc {d.number}
                      <Show when={d.title}>
                        <span class="muted"> {d.title}</span>
                      </Show>
                    </h2>
                  </Show>
                  <TrackList tracks={d.tracks} label={`Tracks of ${album().name}`} numbered albumArtist={album().artist} />
                </section>
              )}
            </For>
            <Show when={album().recordLabels?.length}>
              <p class="fine">{album().recordLabels?.join(", ")}</p>
            </Show>
          </div>
        );
      }}
    </Await>
  );
}
