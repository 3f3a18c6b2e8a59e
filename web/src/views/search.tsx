import { createEffect, createMemo, createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import { load } from "../api/state";
import type { SearchReply, StarredReply } from "../api/wire";
import { place } from "../router";
import { AlbumCard, TrackList } from "../ui/music";
import { Await, Message } from "../ui/parts";
import { useTitle } from "../ui/title";
import { ArtistTile } from "./artists";

/** Long enough that a fast typist's letters make one request, short enough not to be felt. */
const typingMs = 120;

export function Search(): JSX.Element {
  const typed = () => place().query.get("q")?.trim() ?? "";
  const [text, setText] = createSignal(typed());
  useTitle(() => (text() === "" ? "Search" : `“${text()}”`));
  createEffect(() => {
    const t = typed();
    const timer = setTimeout(() => setText(t), typingMs);
    onCleanup(() => clearTimeout(timer));
  });
  const found = load<SearchReply>(() => (text() === "" ? undefined : { path: "search", query: { q: text(), artists: 8, albums: 12, tracks: 30 } }));
  // Old results stay until the new ones are here: a page that flickers while one types cannot be read.
  const shown = createMemo<SearchReply | undefined>((before) => (text() === "" ? undefined : (found.value() ?? before)));
  const none = () => { const r = shown(); return r !== undefined && r.artists.length + r.albums.length + r.tracks.length === 0; };

  return (
    <>
      <h1 class="visually-hidden">Search</h1>
      <p class="visually-hidden" role="status">
        {(() => { const r = shown(); return r === undefined ? "" : `${r.artists.length} artists, ${r.albums.length} albums and ${r.tracks.length} tracks found`; })()}
      </p>
      <Show
        when={text() !== ""}
        fallback={
          <Message icon="search" title="What would you like to hear?">
            <p>Type the beginning of any words of a title, an album or an artist.</p>
          </Message>
        }
      >
        <Await value={shown()} error={found.error()} retry={found.retry}>
          {(r) => (
            <Show when={!none()} fallback={<Message icon="search" title="Nothing found"><p>There is nothing like “{text()}” in the library.</p></Message>}>
              <Results result={r()} />
            </Show>
          )}
        </Await>
      </Show>
    </>
  );
}

function Results(props: { result: SearchReply }): JSX.Element {
  return (
    <>
      <Show when={props.result.artists.length > 0}>
        <section>
          <h2>Artists</h2>
          <ul class="artist-grid">
            <For each={props.result.artists}>{(a) => <ArtistTile artist={a} />}</For>
          </ul>
        </section>
      </Show>
      <Show when={props.result.albums.length > 0}>
        <section>
          <h2>Albums</h2>
          <div class="grid">
            <For each={props.result.albums}>{(a) => <AlbumCard album={a} />}</For>
          </div>
        </section>
      </Show>
      <Show when={props.result.tracks.length > 0}>
        <section>
          <h2>Tracks</h2>
          <TrackList tracks={props.result.tracks} label="Tracks" showAlbum />
        </section>
      </Show>
    </>
  );
}

export function Starred(): JSX.Element {
  useTitle(() => "Starred");
  const loaded = load<StarredReply>(() => ({ path: "starred" }));
  return (
    <>
      <header class="view-head">
        <h1>Starred</h1>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
        {(r) => (
          <Show
            when={r().artists.length + r().albums.length + r().tracks.length > 0}
            fallback={
              <Message icon="star" title="Nothing starred yet">
                <p>Press the star beside a track, an album or an artist, and find it here.</p>
              </Message>
            }
          >
            <Results result={r()} />
          </Show>
        )}
      </Await>
    </>
  );
}
