import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { get } from "../api/client";
import { load, readOnce } from "../api/state";
import type { AlbumWindow, GenreItems, TrackWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { EmptyLibrary } from "../ui/empty";
import { Icon } from "../ui/icons";
import { AlbumCard, TrackList } from "../ui/music";
import { createPaged, pageSize } from "../ui/paging";
import { Await, complain, Cover, hue, Message } from "../ui/parts";
import { genrePath } from "../ui/paths";
import { Shelf } from "../ui/shelf";
import { useTitle } from "../ui/title";
import { t, tag } from "../words";
import "./genres.css";

export function Genres(): JSX.Element {
  useTitle(() => t("library.genresTitle"));
  const loaded = load<GenreItems>(() => ({ path: "genres" }));
  const [text, setText] = createSignal("");
  const [byName, setByName] = createSignal(false);
  const shown = createMemo(() => {
    const wanted = text().trim().toLocaleLowerCase(tag());
    const list = (loaded.value()?.items ?? []).filter((g) => g.name.toLocaleLowerCase(tag()).includes(wanted));
    return byName() ? list.sort((a, b) => a.name.localeCompare(b.name, tag())) : list.sort((a, b) => b.trackCount - a.trackCount);
  });
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.genresTitle")}</h1>
          <p class="muted">{(() => { const n = loaded.value()?.items.length ?? 0; return n > 0 ? t("library.genres", { count: n }) : " "; })()}</p>
        </div>
        <div class="choices">
          <label class="choice find">
            <span class="visually-hidden">{t("library.findGenre")}</span>
            <input type="search" placeholder={t("library.findGenre")} autocomplete="off" value={text()} onInput={(e) => setText(e.currentTarget.value)} />
          </label>
          <label class="choice">
            <span class="visually-hidden">{t("library.order")}</span>
            <select onChange={(e) => setByName(e.currentTarget.value === "name")}>
              <option value="count">{t("library.byCount")}</option>
              <option value="name">{t("library.byName")}</option>
            </select>
          </label>
        </div>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
        {(r) => (
          <Show when={r().items.length > 0} fallback={<EmptyLibrary />}>
            <Show when={shown().length > 0} fallback={<Message icon="search" title={t("library.nothingFound")} />}>
              <ul class="genre-grid" role="list" aria-label={t("library.genresTitle")}>
                <For each={shown()}>
                  {(g) => (
                    <li>
                      <a class="genre-tile" style={{ "--hue": String(hue(g.name)) }} href={href(genrePath(g.name))}>
                        <strong dir="auto">{g.name}</strong>
                        <Show when={g.covers[0]}>{(id) => <Cover id={id()} has name={g.name} size={96} />}</Show>
                        <small>
                          {t("library.albums", { count: g.albumCount })} · {t("lists.tracks", { count: g.trackCount })}
                        </small>
                      </a>
                    </li>
                  )}
                </For>
              </ul>
            </Show>
          </Show>
        )}
      </Await>
    </>
  );
}

export function GenreView(props: { id: string }): JSX.Element {
  useTitle(() => props.id);
  const player = usePlayer();
  const albums = load<AlbumWindow>(() => ({ path: "albums", query: { order: "newest", genre: props.id, limit: 24 } }));
  const first = load<TrackWindow>(() => ({ path: "tracks", query: { genre: props.id, limit: pageSize } }));
  const shuffle = () => {
    get<TrackWindow>("tracks", { genre: props.id, random: true, limit: 500 }).then((w) => player.play(w.items.filter((x) => !x.missing)), complain);
  };
  return (
    <>
      <header class="genre-head" style={{ "--hue": String(hue(props.id)) }}>
        <p class="eyebrow">{t("library.genre")}</p>
        <h1 dir="auto">{props.id}</h1>
        <p class="facts">
          <Show when={albums.value()}>{(w) => <span>{t("library.albums", { count: w().total })}</span>}</Show>
          <Show when={first.value()}>{(w) => <span>{t("lists.tracks", { count: w().total })}</span>}</Show>
        </p>
        <div class="actions">
          <button type="button" class="button primary" onClick={shuffle}>
            <Icon name="shuffle" /> {t("library.shuffle")}
          </button>
          <a class="button" href={href(`/albums?genre=${encodeURIComponent(props.id)}`)}>
            <Icon name="albums" /> {t("library.allAlbums")}
          </a>
        </div>
      </header>
      <Show when={(albums.value()?.items.length ?? 0) > 0}>
        <Shelf title={t("library.albumsTitle")} to={`/albums?genre=${encodeURIComponent(props.id)}`} items={albums.value()?.items ?? []}>
          {(a) => <AlbumCard album={a} size={208} />}
        </Shelf>
      </Show>
      <Await value={first.value()} error={first.error()} retry={first.retry}>
        {(w) => {
          const paged = createPaged(
            () => ({ key: props.id, first: w(), fetch: (offset, limit, signal) => readOnce<TrackWindow>("tracks", { genre: props.id, offset, limit }, signal) }),
            complain,
          );
          return (
            <Show
              when={w().total > 0}
              fallback={
                <Message icon="genres" title={t("library.noSuchGenre")} action={<a class="button" href={href("/genres")}>{t("library.allGenres")}</a>}>
                  <p>{t("library.noSuchGenreMore")}</p>
                </Message>
              }
            >
              <section>
                <h2>{t("library.tracksTitle")}</h2>
                <TrackList paged={paged} listKey={props.id} label={t("library.tracksOf", { name: props.id })} showAlbum />
              </section>
            </Show>
          );
        }}
      </Await>
    </>
  );
}
