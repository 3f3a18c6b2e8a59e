import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { Album, ArtistRef, ArtistReply, TrackItems } from "../api/wire";
import { usePlayer } from "../player/context";
import { ArtistCard } from "../ui/artist";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/menu";
import { AlbumCard, TrackList } from "../ui/music";
import { Await, complain, Cover, StarButton } from "../ui/parts";
import { RatingStars } from "../ui/rating";
import { roleName } from "../ui/roles";
import { Shelf } from "../ui/shelf";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";
import { type Key, t } from "../words";
import "./artist.css";

/** How many top tracks are shown at first, and when somebody wants more. */
const fewTop = 5;
const manyTop = 20;

const actions = () => import("../ui/actions");

/** The sections of a discography, in order; an album is in the first whose release types it has one of. */
const sections: readonly [name: Key, types: readonly string[]][] = [
  ["library.singlesAndEps", ["single", "ep"]],
  ["library.liveAlbums", ["live"]],
  ["library.compilations", ["compilation"]],
  ["library.albumsTitle", []],
];

/** An artist's own albums by what they are, newest first; albums proper come first. */
function discography(albums: readonly Album[]): { name: Key; albums: Album[] }[] {
  const groups = new Map<Key, Album[]>();
  for (const a of albums.toReversed()) {
    const types = (a.releaseTypes ?? []).map((x) => x.toLowerCase());
    if (a.compilation) types.push("compilation");
    const name = sections.find(([, wanted]) => wanted.some((w) => types.includes(w)))?.[0] ?? "library.albumsTitle";
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [a]);
    else group.push(a);
  }
  return (["library.albumsTitle", "library.singlesAndEps", "library.liveAlbums", "library.compilations"] as const).flatMap((name) => {
    const list = groups.get(name);
    return list === undefined ? [] : [{ name, albums: list }];
  });
}

export function ArtistView(props: { id: string }): JSX.Element {
  const path = () => `artists/${encodeURIComponent(props.id)}`;
  const loaded = load<ArtistReply>(() => ({ path: path() }));
  useTitle(() => loaded.value()?.name ?? t("library.artist"));
  const player = usePlayer();
  const [tint, setTint] = createSignal<string>();
  const [more, setMore] = createSignal(false);
  const top = load<TrackItems>(() => ({ path: `${path()}/top`, query: { limit: manyTop } }));
  const similar = load<TrackItems>(() => ({ path: `similar/${encodeURIComponent(props.id)}`, query: { limit: 100 } }));
  const alike = createMemo(() => {
    const out = new Map<string, ArtistRef>();
    for (const x of similar.value()?.items ?? []) for (const a of x.albumArtists ?? x.artists) if (a.id !== props.id && !out.has(a.id)) out.set(a.id, a);
    return [...out.values()].slice(0, 14);
  });
  const all = (then: (a: Awaited<ReturnType<typeof actions>>) => Promise<void>) => () => {
    actions().then(then).catch(complain);
  };
  const shownTop = () => (top.value()?.items ?? []).slice(0, more() ? manyTop : fewTop);

  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(artist) => (
        <div class="artist" style={{ "--tint": tint() }}>
          <header class="hero artist-hero">
            <Cover id={artist().id} has={artist().hasCover} name={artist().name} size={240} eager round onColor={(img) => setTint(tintOf(img))} />
            <div class="hero-text">
              <p class="eyebrow">{t("library.artist")}</p>
              <h1 dir="auto">{artist().name}</h1>
              <p class="facts">
                <Show when={artist().albumCount > 0}>
                  <span>{t("library.albums", { count: artist().albumCount })}</span>
                </Show>
                <span>{t("lists.tracks", { count: artist().trackCount })}</span>
                <Show when={artist().roles?.filter((r) => r !== "artist" && r !== "albumartist").slice(0, 3)}>
                  {(list) => <For each={list()}>{(r) => <span>{roleName(r)}</span>}</For>}
                </Show>
                <Show when={artist().playCount}>{(n) => <span>{t("library.plays", { count: n() })}</span>}</Show>
              </p>
              <div class="actions">
                <button type="button" class="button primary" onClick={all(async (a) => player.play(a.playable(await a.tracksOfArtist(artist().id))))}>
                  <Icon name="play" /> {t("library.play")}
                </button>
                <button type="button" class="button" onClick={all(async (a) => player.playShuffled(a.playable(await a.tracksOfArtist(artist().id))))}>
                  <Icon name="shuffle" /> {t("library.shuffle")}
                </button>
                <button type="button" class="button" onClick={all((a) => a.playRadio(player, artist().id))}>
                  <Icon name="radio" /> {t("library.radio")}
                </button>
                <StarButton thing={artist()} name={artist().name} />
                <RatingStars thing={artist()} name={artist().name} />
                <Menu label={t("library.moreOf", { name: artist().name })} title={artist().name} items={async () => (await actions()).artistItems(player, artist())} />
              </div>
            </div>
          </header>
          <Show when={shownTop().length > 0}>
            <section>
              <h2>{t("library.topTracks")}</h2>
              <TrackList tracks={shownTop()} queue={top.value()?.items ?? []} label={t("library.topTracksOf", { name: artist().name })} showAlbum albumArtist={artist().name} inArtist={artist().id} extra={(x) => (x.playCount ? t("library.plays", { count: x.playCount }) : "")} />
              <Show when={(top.value()?.items.length ?? 0) > fewTop}>
                <button type="button" class="button small artist-more" aria-expanded={more()} onClick={() => setMore(!more())}>
                  {t(more() ? "library.showFewer" : "library.showMore")}
                </button>
              </Show>
            </section>
          </Show>
          <For each={discography(artist().albums)}>
            {(part) => (
              <section>
                <h2>{t(part.name)}</h2>
                <ul class="grid" role="list" aria-label={t(part.name)}>
                  <For each={part.albums}>
                    {(a) => (
                      <li>
                        <AlbumCard album={a} showYear />
                      </li>
                    )}
                  </For>
                </ul>
              </section>
            )}
          </For>
          <Show when={artist().appearsOn.length > 0}>
            <Shelf title={t("library.appearsOn")} items={artist().appearsOn}>
              {(a) => <AlbumCard album={a} />}
            </Shelf>
          </Show>
          <Show when={alike().length > 0}>
            <Shelf title={t("library.similarArtists")} items={alike()} small>
              {(a) => <ArtistCard artist={{ ...a, hasCover: true }} below={t("library.artist")} />}
            </Shelf>
          </Show>
        </div>
      )}
    </Await>
  );
}
