import { createMemo, For, type JSX, Show } from "solid-js";
import { load, read } from "../api/state";
import type { Artist, ArtistReply, ArtistWindow, Track, TrackItems, TrackWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { count } from "../ui/format";
import { Icon } from "../ui/icons";
import { AlbumCard, artistPath, TrackList } from "../ui/music";
import { Await, complain, Cover, StarButton } from "../ui/parts";
import { useTitle } from "../ui/title";
import { EmptyLibrary } from "../ui/empty";

/** The letter under which a name is found; what begins with none is under #. */
function letterOf(artist: Artist): string {
  const first = (artist.sortName ?? artist.name).replace(/^(the|a|an) /i, "").normalize("NFD").charAt(0).toUpperCase();
  return /\p{L}/u.test(first) ? first : "#";
}

export function Artists(): JSX.Element {
  useTitle(() => "Artists");
  const loaded = load<ArtistWindow>(() => ({ path: "artists", query: { role: "albumartist" } }));
  const groups = createMemo(() => {
    const out = new Map<string, Artist[]>();
    for (const a of loaded.value()?.items ?? []) {
      const letter = letterOf(a);
      const group = out.get(letter);
      if (group === undefined) out.set(letter, [a]);
      else group.push(a);
    }
    return [...out];
  });
  return (
    <>
      <header class="view-head">
        <div>
          <h1>Artists</h1>
          <p class="muted">{(() => { const w = loaded.value(); return w && w.total > 0 ? count(w.total, "artist") : " "; })()}</p>
        </div>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
        {(w) => (
          <Show when={w().items.length > 0} fallback={<EmptyLibrary />}>
            <For each={groups()}>
              {([letter, artists]) => (
                <section class="letter">
                  <h2>{letter}</h2>
                  <ul class="artist-grid">
                    <For each={artists}>{(a) => <ArtistTile artist={a} />}</For>
                  </ul>
                </section>
              )}
            </For>
          </Show>
        )}
      </Await>
    </>
  );
}

export function ArtistTile(props: { artist: Artist }): JSX.Element {
  return (
    <li>
      <a class="artist-tile" href={href(artistPath(props.artist.id))}>
        <Cover id={props.artist.id} has={props.artist.hasCover} name={props.artist.name} size={64} round />
        <span>
          <strong>{props.artist.name}</strong>
          <small>{props.artist.albumCount > 0 ? count(props.artist.albumCount, "album") : count(props.artist.trackCount, "track")}</small>
        </span>
      </a>
    </li>
  );
}

export function ArtistView(props: { id: string }): JSX.Element {
  const loaded = load<ArtistReply>(() => ({ path: `artists/${encodeURIComponent(props.id)}` }));
  useTitle(() => loaded.value()?.name ?? "Artist");
  const player = usePlayer();
  const all = (artist: string, then: (tracks: readonly Track[]) => void) => {
    read<TrackWindow>("tracks", { artist, limit: 500 }).then((w) => then(w.items), complain);
  };
  const top = load<TrackItems>(() => ({ path: `artists/${encodeURIComponent(props.id)}/top`, query: { limit: 5 } }));
  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(artist) => (
        <>
          <header class="hero artist-hero">
            <Cover id={artist().id} has={artist().hasCover} name={artist().name} size={180} eager round />
            <div class="hero-text">
              <p class="eyebrow">Artist</p>
              <h1>{artist().name}</h1>
              <p class="facts">
                <span>{count(artist().albumCount, "album")}</span>
                <span>{count(artist().trackCount, "track")}</span>
              </p>
              <div class="actions">
                <button type="button" class="button primary" onClick={() => all(artist().id, (tracks) => player.play(tracks))}>
                  <Icon name="play" /> Play
                </button>
                <button type="button" class="button" onClick={() => all(artist().id, (tracks) => player.playShuffled(tracks))}>
                  <Icon name="shuffle" /> Shuffle
                </button>
                <StarButton thing={artist()} name={artist().name} />
              </div>
            </div>
          </header>
          <Show when={top.value()?.items.length}>
            <section>
              <h2>Top tracks</h2>
              <TrackList tracks={top.value()?.items ?? []} label={`Top tracks of ${artist().name}`} showAlbum />
            </section>
          </Show>
          <Show when={artist().albums.length > 0}>
            <section>
              <h2>Albums</h2>
              <div class="grid">
                <For each={artist().albums.toReversed()}>{(a) => <AlbumCard album={a} showYear />}</For>
              </div>
            </section>
          </Show>
          <Show when={artist().appearsOn.length > 0}>
            <section>
              <h2>Appears on</h2>
              <div class="grid">
                <For each={artist().appearsOn}>{(a) => <AlbumCard album={a} />}</For>
              </div>
            </section>
          </Show>
        </>
      )}
    </Await>
  );
}
