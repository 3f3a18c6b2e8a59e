import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { get } from "../api/client";
import { load, read, session } from "../api/state";
import type { Album, AlbumReply, AlbumWindow, GenreItems, ShelfItems, Shelf as ShelfOfAlbums, TrackWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { EmptyLibrary } from "../ui/empty";
import { Icon } from "../ui/icons";
import { AlbumCard } from "../ui/music";
import { Await, complain, Cover, hue } from "../ui/parts";
import { albumPath, genrePath } from "../ui/paths";
import { Shelf, ShelfWaiting } from "../ui/shelf";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";
import { type Key, t } from "../words";
import "./home.css";

/** How many albums a shelf holds; all of them are one press away. */
const onShelf = 20;

/** With fewer albums than this, a shelf of a genre or a decade would say what others say already. */
const fewest = 4;

/** How many tracks a mix is made of. */
const mixLength = 100;

function greeting(): Key {
  const hour = new Date().getHours();
  return hour < 5 ? "library.goodNight" : hour < 12 ? "library.goodMorning" : hour < 18 ? "library.goodAfternoon" : "library.goodEvening";
}

type Kind = ShelfOfAlbums["kind"];

export function Home(): JSX.Element {
  useTitle(() => t("library.home"));
  const player = usePlayer();
  const shelves = load<ShelfItems>(() => ({ path: "shelves", query: { limit: onShelf } }));
  /** Others than the server drew first, where somebody wanted others. */
  const [drawn, setDrawn] = createSignal<readonly Album[]>();
  const genres = load<GenreItems>(() => ({ path: "genres" }));
  const [tint, setTint] = createSignal<string>();

  const all = (kind: Kind): readonly ShelfOfAlbums[] => shelves.value()?.items.filter((s) => s.kind === kind) ?? [];
  const items = (kind: Kind): readonly Album[] => all(kind)[0]?.albums ?? [];
  /** Shelves of what somebody likes, where there is enough for one. */
  const tastes = (kind: Kind) => all(kind).filter((s) => s.albums.length >= fewest);
  const random = () => drawn() ?? items("random");
  const draw = () => {
    get<AlbumWindow>("albums", { order: "random", limit: onShelf }).then((w) => setDrawn(w.items), complain);
  };
  const known = createMemo(() => {
    const found = new Map<string, Album>();
    for (const list of [items("played"), items("frequent"), items("added"), items("random")]) for (const a of list) found.set(a.id, a);
    return [...found.values()];
  });
  const mixes = createMemo(() => makeMixes(known(), genres.value()?.items.map((g) => g.name) ?? []));

  const playAlbum = (album: Album) => {
    read<AlbumReply>(`albums/${encodeURIComponent(album.id)}`).then((a) => player.play(a.tracks.filter((x) => !x.missing)), complain);
  };

  return (
    <div class="home" style={{ "--tint": tint() }}>
      <header class="home-head">
        <h1>{t(greeting(), { name: session()?.user.name ?? "" })}</h1>
        <Show when={items("played").length > 0}>
          <ul class="again" role="list" aria-label={t("library.jumpBackIn")}>
            <For each={items("played").slice(0, 8)}>
              {(a, i) => (
                <li>
                  <a href={href(albumPath(a.id))}>
                    <Cover id={a.id} has={a.hasCover} name={a.name} size={64} eager {...(i() === 0 ? { onColor: (img: HTMLImageElement) => setTint(tintOf(img)) } : {})} />
                    <span>
                      <strong dir="auto">{a.name}</strong>
                      <small dir="auto">{a.artist}</small>
                    </span>
                  </a>
                  <button type="button" class="card-play" aria-label={t("library.playThis", { name: a.name })} onClick={() => playAlbum(a)}>
                    <Icon name="play" />
                  </button>
                </li>
              )}
            </For>
          </ul>
        </Show>
      </header>
      <Await value={shelves.value()} error={shelves.error()} retry={shelves.retry} waiting={<><ShelfWaiting /><ShelfWaiting /></>}>
        {(w) => (
          <Show when={w().items.length > 0} fallback={<EmptyLibrary />}>
            <Albums title={t("library.newest")} items={items("added")} to="/albums?order=newest" />
            <Show when={mixes().length > 1}>
              <Shelf title={t("library.mixes")} sub={t("library.mixesMore")} items={mixes()}>
                {(m) => <MixCard mix={m} />}
              </Shelf>
            </Show>
            <Albums title={t("library.recent")} items={items("played")} to="/albums?order=recent" />
            <Albums title={t("library.frequent")} items={items("frequent")} to="/albums?order=frequent" plays />
            <Albums title={t("library.forgotten")} items={items("forgotten")} />
            <Show when={random()[0]}>{(a) => <Spotlight album={a()} onPlay={() => playAlbum(a())} />}</Show>
            <For each={tastes("genre")}>{(s) => <Albums title={t("library.moreOfGenre", { name: s.of ?? "" })} items={s.albums} to={genrePath(s.of ?? "")} />}</For>
            <For each={tastes("decade")}>{(s) => <Albums title={t("library.moreOfDecade", { year: s.of ?? "" })} items={s.albums} to={`/albums?from=${s.of ?? ""}&to=${Number(s.of) + 9}`} />}</For>
            <Shelf
              title={t("library.random")}
              items={random().slice(1)}
              action={
                <button type="button" class="button small" onClick={draw}>
                  <Icon name="dice" /> {t("library.others")}
                </button>
              }
            >
              {(a) => <AlbumCard album={a} size={208} />}
            </Shelf>
            <Albums title={t("library.starred")} items={items("starred")} to="/albums?order=starred" />
          </Show>
        )}
      </Await>
    </div>
  );
}

function Albums(props: { title: string; items: readonly Album[]; to?: string; plays?: boolean }): JSX.Element {
  return (
    <Show when={props.items.length > 0}>
      <Shelf title={props.title} {...(props.to === undefined ? {} : { to: props.to })} items={props.items}>
        {(a) => <AlbumCard album={a} size={208} {...(props.plays && a.playCount ? { below: t("library.plays", { count: a.playCount }) } : {})} />}
      </Shelf>
    </Show>
  );
}

/** One album out of all, large, in its cover's colour. */
function Spotlight(props: { album: Album; onPlay: () => void }): JSX.Element {
  const [tint, setTint] = createSignal<string>();
  return (
    <section class="spotlight" style={{ "--tint": tint() }} aria-labelledby="spotlight">
      <a href={href(albumPath(props.album.id))} tabindex="-1" aria-hidden="true">
        <Cover id={props.album.id} has={props.album.hasCover} name={props.album.name} size={280} onColor={(img) => setTint(tintOf(img))} />
      </a>
      <div>
        <p class="eyebrow">{t("library.spotlight")}</p>
        <h2 id="spotlight" dir="auto">
          <a href={href(albumPath(props.album.id))}>{props.album.name}</a>
        </h2>
        <p class="spotlight-by" dir="auto">
          {[props.album.artist, (props.album.originalDate ?? props.album.date ?? "").slice(0, 4), props.album.genres?.[0] ?? ""].filter((x) => x !== "").join(" · ")}
        </p>
        <button type="button" class="button primary" onClick={() => props.onPlay()}>
          <Icon name="play" /> {t("library.play")}
        </button>
      </div>
    </section>
  );
}

interface Mix {
  readonly name: string;
  readonly to: string;
  readonly query: Readonly<Record<string, string | number | boolean>>;
  readonly covers: readonly Album[];
}

/** Mixes of what somebody has: of the genres and the decades that they play, or else own, most. */
function makeMixes(albums: readonly Album[], genres: readonly string[]): Mix[] {
  const count = (keys: (a: Album) => readonly string[]): [string, Album[]][] => {
    const found = new Map<string, Album[]>();
    for (const a of albums) {
      for (const k of keys(a)) {
        const group = found.get(k);
        if (group === undefined) found.set(k, [a]);
        else group.push(a);
      }
    }
    return [...found].sort(([, a], [, b]) => b.length - a.length);
  };
  const known = new Set(genres);
  const byGenre = count((a) => a.genres ?? [])
    .filter(([name]) => known.has(name))
    .slice(0, 7)
    .map(([name, covers]): Mix => ({ name, to: genrePath(name), query: { genre: name }, covers }));
  const byDecade = count((a) => {
    const year = Number((a.originalDate ?? a.date ?? "").slice(0, 4));
    return year > 0 ? [String(year - (year % 10))] : [];
  })
    .filter(([, covers]) => covers.length > 1)
    .slice(0, 4)
    .map(([decade, covers]): Mix => {
      const from = Number(decade);
      return { name: t("library.decade", { year: decade }), to: `/albums?from=${from}&to=${from + 9}`, query: { fromYear: from, toYear: from + 9 }, covers };
    });
  // One of each in turn, so that neither crowds the other out.
  return Array.from({ length: Math.max(byGenre.length, byDecade.length) }, (_, i) => [byGenre[i], byDecade[i]]).flat().filter((m): m is Mix => m !== undefined);
}

function MixCard(props: { mix: Mix }): JSX.Element {
  const player = usePlayer();
  const play = () => {
    get<TrackWindow>("tracks", { ...props.mix.query, random: true, limit: mixLength }).then((w) => player.play(w.items.filter((x) => !x.missing)), complain);
  };
  const pictures = () => props.mix.covers.filter((a) => a.hasCover).slice(0, 3);
  return (
    <article class="card mix" style={{ "--hue": String(hue(props.mix.name)) }}>
      <div class="card-picture">
        <a class="mix-face" href={href(props.mix.to)} tabindex="-1" aria-hidden="true">
          <For each={pictures()}>{(a) => <Cover id={a.id} has={a.hasCover} name={a.name} size={128} />}</For>
          <span>{props.mix.name}</span>
        </a>
        <button type="button" class="card-play" aria-label={t("library.playThis", { name: props.mix.name })} onClick={play}>
          <Icon name="play" />
        </button>
      </div>
      <a class="card-title" data-card href={href(props.mix.to)} dir="auto">
        {t("library.mixOf", { name: props.mix.name })}
      </a>
      <p dir="auto">{[...new Set(props.mix.covers.map((a) => a.artist))].slice(0, 3).join(", ")}</p>
    </article>
  );
}
