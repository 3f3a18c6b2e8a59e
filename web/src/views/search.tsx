import { createComputed, createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, onMount, Show } from "solid-js";
import { load } from "../api/state";
import type { Album, Artist, Genre, GenreItems, Playlist, PlaylistItems, SearchReply, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { href, place, replace } from "../router";
import { ArtistCard } from "../ui/artist";
import { Icon } from "../ui/icons";
import { AlbumCard, TrackList } from "../ui/music";
import { Await, complain, Cover, hue, IconButton, Message } from "../ui/parts";
import { albumPath, artistPath, genrePath, playlistPath } from "../ui/paths";
import { Shelf } from "../ui/shelf";
import { useTitle } from "../ui/title";
import { t } from "../words";
import "./albums.css";
import "./genres.css";
import { closeness, matches } from "./matching";
import { createRecent } from "./recent";
import "./search.css";

/** Long enough that a fast typist's letters make one request, short enough not to be felt. */
const typingMs = 120;

/** How many tracks are shown at first, and when somebody wants more. */
const fewTracks = 20;
const manyTracks = 200;

export function Search(): JSX.Element {
  const typed = () => place().query.get("q")?.trim() ?? "";
  const [text, setText] = createSignal(typed());
  const [many, setMany] = createSignal(false);
  const recent = createRecent();
  let box!: HTMLDivElement;
  useTitle(() => (text() === "" ? t("library.search") : `“${text()}”`));
  createEffect(() => {
    const now = typed();
    const timer = setTimeout(() => {
      if (now !== text()) setMany(false);
      setText(now);
    }, typingMs);
    onCleanup(() => clearTimeout(timer));
  });
  const found = load<SearchReply>(() => (text() === "" ? undefined : { path: "search", query: { q: text(), artists: 12, albums: 24, tracks: many() ? manyTracks : fewTracks } }));
  // Old results stay until the new ones are here: a page that flickers while one types cannot be read.
  const shown = createMemo<SearchReply | undefined>((before) => (text() === "" ? undefined : (found.value() ?? before)));
  const playlists = load<PlaylistItems>(() => ({ path: "playlists" }));
  const genres = load<GenreItems>(() => ({ path: "genres" }));
  const lists = createMemo(() => (playlists.value()?.items ?? []).filter((p) => matches(p.name, text())).slice(0, 12));
  const kinds = createMemo(() => (genres.value()?.items ?? []).filter((g) => matches(g.name, text())).slice(0, 8));
  const total = () => {
    const r = shown();
    return r === undefined ? 0 : r.artists.length + r.albums.length + r.tracks.length + lists().length + kinds().length;
  };

  const field = () => document.querySelector<HTMLInputElement>("search input");
  /** From the field into the results, and from one group of them to the next, as one goes down the page. */
  const step = (e: KeyboardEvent) => {
    if ((e.key !== "ArrowDown" && e.key !== "ArrowUp") || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey || e.defaultPrevented) return;
    const groups = [...box.querySelectorAll<HTMLElement>("[data-hits]")].filter((g) => g.querySelector(hit) !== null);
    const inside = e.target instanceof Node ? groups.findIndex((g) => g.contains(e.target as Node)) : -1;
    if (inside < 0 && e.target !== field()) return;
    e.preventDefault();
    e.stopPropagation();
    const next = inside + (e.key === "ArrowDown" ? 1 : -1);
    if (next < 0) field()?.focus();
    else groups[next]?.querySelector<HTMLElement>(hit)?.focus();
  };
  onMount(() => {
    const input = field();
    input?.addEventListener("keydown", step);
    onCleanup(() => input?.removeEventListener("keydown", step));
  });
  // Newer results must not cost whoever went into the older ones their place: they are as far in the same group again.
  let left: { group: number; at: number } | undefined;
  const groupsOf = () => [...box.querySelectorAll<HTMLElement>("[data-hits]")];
  const hitsOf = (group: HTMLElement | undefined) => [...(group?.querySelectorAll<HTMLElement>("[data-row], [data-card], [data-hit]") ?? [])];
  createComputed(
    on(
      [shown, lists, kinds],
      () => {
        const at = document.activeElement;
        const groups = groupsOf();
        const group = groups.findIndex((g) => g.contains(at));
        if (at === null || group < 0) return;
        const isUpTo = (h: HTMLElement) => h === at || (h.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
        left = { group, at: Math.max(0, hitsOf(groups[group]).findLastIndex(isUpTo)) };
        // Lists put their rows in place after this.
        queueMicrotask(() => {
          const from = left;
          left = undefined;
          if (from === undefined || document.activeElement !== document.body) return;
          const hits = hitsOf(groupsOf()[from.group]);
          (hits[Math.min(from.at, hits.length - 1)] ?? field())?.focus({ preventScroll: true });
        });
      },
      { defer: true },
    ),
  );
  const remember = () => {
    if (text() !== "") recent.add(text());
  };

  return (
    <div ref={box} class="search-view" onKeyDown={step} onClick={(e) => { if (e.target instanceof Element && e.target.closest("[data-hits] a, [data-hits] button") !== null) remember(); }}>
      <h1 class="visually-hidden">{t("library.search")}</h1>
      <p class="visually-hidden" role="status">
        {(() => { const r = shown(); return r === undefined ? "" : t("library.found", { artists: t("library.artists", { count: r.artists.length }), albums: t("library.albums", { count: r.albums.length }), tracks: t("lists.tracks", { count: r.tracks.length }) }); })()}
      </p>
      <Show when={text() !== ""} fallback={<Before recent={recent} genres={genres.value()?.items ?? []} />}>
        <Await value={shown()} error={found.error()} retry={found.retry}>
          {(r) => (
            <Show
              when={total() > 0}
              fallback={
                <Message icon="search" title={t("library.nothingFound")}>
                  <p>{t("library.nothingLike", { text: text() })}</p>
                </Message>
              }
            >
              <Results
                result={r()}
                playlists={lists()}
                genres={kinds()}
                text={text()}
                {...(r().tracks.length >= fewTracks && !many() ? { onMore: () => setMany(true) } : {})}
              />
            </Show>
          )}
        </Await>
      </Show>
    </div>
  );
}

/** What takes the focus in a group of results. */
const hit = "[data-row][tabindex='0'], [data-card], [data-hit]";

/** Before anything is typed: what was searched for before, and a way in for who does not know what to look for. */
function Before(props: { recent: ReturnType<typeof createRecent>; genres: readonly Genre[] }): JSX.Element {
  const most = createMemo(() => [...props.genres].sort((a, b) => b.trackCount - a.trackCount).slice(0, 12));
  return (
    <>
      <Show when={props.recent.list().length > 0}>
        <section data-hits>
          <header class="search-head">
            <h2>{t("library.recentSearches")}</h2>
            <button type="button" class="button small" onClick={() => props.recent.clear()}>
              {t("library.forgetAll")}
            </button>
          </header>
          <ul class="recent" role="list" aria-label={t("library.recentSearches")}>
            <For each={props.recent.list()}>
              {(text) => (
                <li>
                  <button type="button" data-hit onClick={() => replace(`/search?q=${encodeURIComponent(text)}`)}>
                    <Icon name="clock" />
                    <span dir="auto">{text}</span>
                  </button>
                  <IconButton icon="remove" label={t("library.forget", { text })} onClick={() => props.recent.remove(text)} />
                </li>
              )}
            </For>
          </ul>
        </section>
      </Show>
      <Show
        when={most().length > 0}
        fallback={
          <Message icon="search" title={t("library.whatToHear")}>
            <p>{t("library.howToSearch")}</p>
          </Message>
        }
      >
        <section data-hits>
          <header class="search-head">
            <h2>{t("library.browseGenres")}</h2>
            <a class="button small" href={href("/genres")}>
              {t("library.allGenres")}
            </a>
          </header>
          <ul class="genre-grid" role="list" aria-label={t("library.browseGenres")}>
            <For each={most()}>{(g) => <GenreTile genre={g} />}</For>
          </ul>
        </section>
      </Show>
    </>
  );
}

function GenreTile(props: { genre: Genre }): JSX.Element {
  return (
    <li>
      <a class="genre-tile" data-hit style={{ "--hue": String(hue(props.genre.name)) }} href={href(genrePath(props.genre.name))}>
        <strong dir="auto">{props.genre.name}</strong>
        <Show when={props.genre.covers[0]}>{(id) => <Cover id={id()} has name={props.genre.name} size={96} />}</Show>
        <small>{t("lists.tracks", { count: props.genre.trackCount })}</small>
      </a>
    </li>
  );
}

interface Top {
  readonly kind: "artist" | "album" | "track";
  readonly score: number;
  readonly artist?: Artist;
  readonly album?: Album;
  readonly track?: Track;
}

/** The one thing that is most likely meant: the closest name, of two as close the artist before the album before the track. */
function topOf(r: SearchReply, text: string): Top | undefined {
  const all: Top[] = [
    ...r.artists.slice(0, 3).map((artist): Top => ({ kind: "artist", artist, score: closeness(artist.name, text) })),
    ...r.albums.slice(0, 3).map((album): Top => ({ kind: "album", album, score: closeness(album.name, text) })),
    ...r.tracks.slice(0, 3).map((track): Top => ({ kind: "track", track, score: closeness(track.title, text) })),
  ];
  return all.reduce<Top | undefined>((best, x) => (x.score > (best?.score ?? 0) ? x : best), undefined);
}

function Results(props: { result: SearchReply; playlists: readonly Playlist[]; genres: readonly Genre[]; text: string; onMore?: () => void }): JSX.Element {
  const top = createMemo(() => topOf(props.result, props.text));
  return (
    <>
      <div class="search-top" classList={{ alone: props.result.tracks.length === 0, untopped: top() === undefined }}>
        <Show when={top()}>{(x) => <TopHit top={x()} />}</Show>
        <Show when={props.result.tracks.length > 0}>
          <section data-hits>
            <h2>{t("library.tracksTitle")}</h2>
            <TrackList tracks={props.result.tracks.slice(0, top() === undefined ? 8 : 5)} label={t("library.tracksTitle")} showAlbum={top() === undefined} />
          </section>
        </Show>
      </div>
      <Show when={props.result.artists.length > (top()?.kind === "artist" ? 1 : 0)}>
        <div data-hits>
          <Shelf title={t("library.artistsTitle")} items={props.result.artists} small>
            {(a) => <ArtistCard artist={a} />}
          </Shelf>
        </div>
      </Show>
      <Show when={props.result.albums.length > 0}>
        <div data-hits>
          <Shelf title={t("library.albumsTitle")} items={props.result.albums}>
            {(a) => <AlbumCard album={a} />}
          </Shelf>
        </div>
      </Show>
      <Show when={props.playlists.length > 0}>
        <section data-hits>
          <h2>{t("library.playlistsTitle")}</h2>
          <ul class="hit-grid" role="list" aria-label={t("library.playlistsTitle")}>
            <For each={props.playlists}>
              {(p) => (
                <li>
                  <a class="hit" data-hit href={href(playlistPath(p.id))}>
                    <Cover id={p.id} has={false} name={p.name} size={56} />
                    <span>
                      <strong dir="auto">{p.name}</strong>
                      <small>{t("lists.tracks", { count: p.trackCount })}</small>
                    </span>
                  </a>
                </li>
              )}
            </For>
          </ul>
        </section>
      </Show>
      <Show when={props.genres.length > 0}>
        <section data-hits>
          <h2>{t("library.genresTitle")}</h2>
          <ul class="genre-grid" role="list" aria-label={t("library.genresTitle")}>
            <For each={props.genres}>{(g) => <GenreTile genre={g} />}</For>
          </ul>
        </section>
      </Show>
      <Show when={props.result.tracks.length > 8}>
        <section data-hits>
          <h2>{t("library.moreTracks")}</h2>
          <TrackList tracks={props.result.tracks.slice(top() === undefined ? 8 : 5)} label={t("library.moreTracks")} showAlbum />
          <Show when={props.onMore}>
            {(more) => (
              <button type="button" class="button small more-hits" onClick={() => more()()}>
                {t("library.showMore")}
              </button>
            )}
          </Show>
        </section>
      </Show>
    </>
  );
}

function TopHit(props: { top: Top }): JSX.Element {
  const player = usePlayer();
  const thing = () => {
    const { artist, album, track } = props.top;
    if (artist !== undefined) return { id: artist.id, has: artist.hasCover, name: artist.name, to: artistPath(artist.id), sub: artist.albumCount > 0 ? t("library.albums", { count: artist.albumCount }) : t("lists.tracks", { count: artist.trackCount }), kind: t("library.artist") };
    if (album !== undefined) return { id: album.id, has: album.hasCover, name: album.name, to: albumPath(album.id), sub: album.artist, kind: t("library.album") };
    return { id: track?.albumId ?? track?.id ?? "", has: track?.hasCover ?? false, name: track?.title ?? "", to: track?.albumId === undefined ? "/tracks" : albumPath(track.albumId), sub: track?.artist ?? "", kind: t("library.track") };
  };
  const play = async () => {
    const { artist, album, track } = props.top;
    if (track !== undefined) {
      player.play([track]);
      return;
    }
    const a = await import("../ui/actions");
    player.play(a.playable(artist !== undefined ? await a.tracksOfArtist(artist.id) : await a.tracksOfAlbum(album?.id ?? "")));
  };
  return (
    <section class="top-hit" data-hits aria-labelledby="top-hit">
      <h2 id="top-hit">{t("library.topResult")}</h2>
      <div class="top-card">
        <Cover id={thing().id} has={thing().has} name={thing().name} size={160} round={props.top.kind === "artist"} />
        <a class="top-name" data-hit href={href(thing().to)} dir="auto">
          {thing().name}
        </a>
        <p>
          <span class="muted" dir="auto">
            {thing().sub}
          </span>
          <span class="top-kind">{thing().kind}</span>
        </p>
        <button type="button" class="card-play" aria-label={t("library.playThis", { name: thing().name })} onClick={() => { play().catch(complain); }}>
          <Icon name="play" />
        </button>
      </div>
    </section>
  );
}
