import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { load, readOnce } from "../api/state";
import type { AlbumWindow, GenreItems } from "../api/wire";
import { go, place } from "../router";
import { EmptyLibrary, GridWaiting } from "../ui/empty";
import { VirtualGrid } from "../ui/grid";
import { Icon } from "../ui/icons";
import { AlbumCard } from "../ui/music";
import { createPaged, pageSize } from "../ui/paging";
import { Await, complain, Message } from "../ui/parts";
import { useTitle } from "../ui/title";
import { type Key, t } from "../words";
import { type AlbumFilter, albumQuery, filterOf, queryOf } from "./albumfilter";
import "./albums.css";

const orders: readonly [value: string, name: Key][] = [
  ["newest", "library.newest"],
  ["alphabeticalByName", "library.byTitle"],
  ["alphabeticalByArtist", "library.byArtist"],
  ["byYear", "library.byYear"],
  ["recent", "library.recent"],
  ["frequent", "library.frequent"],
  ["highest", "library.highest"],
  ["starred", "library.starred"],
  ["random", "library.random"],
];

/** Genres that the filter offers at once; the rest are in the list below them. */
const manyGenres = 18;

export function Albums(): JSX.Element {
  const filter = createMemo(() => filterOf(place().query), undefined, { equals: (a, b) => queryOf(a) === queryOf(b) });
  const order = () => orders.find(([v]) => v === filter().order)?.[0] ?? "newest";
  const orderName = () => t(orders.find(([v]) => v === order())?.[1] ?? "library.newest");
  useTitle(() => (filter().genres.length === 1 ? (filter().genres[0] ?? "") : t("library.albumsTitle")));

  const query = createMemo(() => albumQuery(filter()));
  const first = load<AlbumWindow>(() => ({ path: "albums", query: { ...query(), limit: pageSize } }));
  const [open, setOpen] = createSignal(false);
  const set = (change: Partial<AlbumFilter>) => go(`/albums${queryOf({ ...filter(), ...change })}`);
  const active = () => filter().genres.length + (filter().from > 0 || filter().to > 0 ? 1 : 0) + filter().formats.length;

  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.albumsTitle")}</h1>
          <p class="muted">{(() => { const w = first.value(); return w && w.total > 0 ? t("library.albums", { count: w.total }) : " "; })()}</p>
        </div>
        <div class="choices">
          <button type="button" class="button filter-button" aria-expanded={open()} aria-controls="album-filter" onClick={() => setOpen(!open())}>
            <Icon name="filter" /> {t("library.filter")}
            <Show when={active() > 0}>
              <span class="count-badge">{active()}</span>
            </Show>
          </button>
          <label class="choice">
            <span class="visually-hidden">{t("library.order")}</span>
            <select onChange={(e) => set({ order: e.currentTarget.value })}>
              <For each={orders}>
                {([value, name]) => (
                  <option value={value} selected={order() === value}>
                    {t(name)}
                  </option>
                )}
              </For>
            </select>
          </label>
        </div>
      </header>
      <Show when={open()}>
        <Filters filter={filter()} set={set} />
      </Show>
      <Show when={active() > 0}>
        <ul class="chips active-chips" role="list" aria-label={t("library.filtersSet")}>
          <For each={filter().genres}>{(g) => <ActiveChip name={g} onRemove={() => set({ genres: filter().genres.filter((x) => x !== g) })} />}</For>
          <Show when={filter().from > 0 || filter().to > 0}>
            <ActiveChip name={yearsText(filter())} onRemove={() => set({ from: 0, to: 0 })} />
          </Show>
          <For each={filter().formats}>{(f) => <ActiveChip name={f.toUpperCase()} onRemove={() => set({ formats: filter().formats.filter((x) => x !== f) })} />}</For>
          <Show when={active() > 1}>
            <li>
              <button type="button" class="chip plain" onClick={() => set({ genres: [], from: 0, to: 0, formats: [] })}>
                {t("library.clearFilters")}
              </button>
            </li>
          </Show>
        </ul>
      </Show>
      <Await value={first.value()} error={first.error()} retry={first.retry} waiting={<GridWaiting />}>
        {(w) => {
          const paged = createPaged(
            () => ({
              key: JSON.stringify(query()),
              // A random order is a new one for every page, so it has only the first.
              first: order() === "random" ? { items: w().items, total: w().items.length } : w(),
              fetch: (offset, limit, signal) => readOnce<AlbumWindow>("albums", { ...query(), offset, limit }, signal),
            }),
            complain,
          );
          return (
            <Show when={w().items.length > 0} fallback={<NoAlbums order={order()} filtered={active() > 0} onClear={() => set({ genres: [], from: 0, to: 0, formats: [] })} />}>
              <VirtualGrid items={paged} label={t("library.albumsBy", { order: orderName() })}>
                {(album) => <AlbumCard album={album} showYear={order() === "byYear"} {...(order() === "frequent" && album.playCount ? { below: t("library.plays", { count: album.playCount }) } : {})} />}
              </VirtualGrid>
            </Show>
          );
        }}
      </Await>
    </>
  );
}

function yearsText(f: AlbumFilter): string {
  if (f.from > 0 && f.to > 0) return f.from === f.to ? String(f.from) : `${f.from}–${f.to}`;
  return f.from > 0 ? t("library.since", { year: String(f.from) }) : t("library.until", { year: String(f.to) });
}

function ActiveChip(props: { name: string; onRemove: () => void }): JSX.Element {
  return (
    <li>
      <button type="button" class="chip on" aria-label={t("library.removeFilter", { name: props.name })} onClick={() => props.onRemove()}>
        <span dir="auto">{props.name}</span> <Icon name="remove" />
      </button>
    </li>
  );
}

/** The kinds of file that libraries are mostly made of, by suffix. */
const formats = ["flac", "mp3", "m4a", "opus", "ogg", "wav", "aiff"];

function Filters(props: { filter: AlbumFilter; set: (change: Partial<AlbumFilter>) => void }): JSX.Element {
  const genres = load<GenreItems>(() => ({ path: "genres" }));
  const byAlbums = createMemo(() => [...(genres.value()?.items ?? [])].sort((a, b) => b.albumCount - a.albumCount));
  const now = new Date().getFullYear();
  const decades = Array.from({ length: 8 }, (_, i) => now - (now % 10) - i * 10).reverse();
  const toggle = (list: readonly string[], x: string) => (list.includes(x) ? list.filter((y) => y !== x) : [...list, x]);
  const yearOf = (input: HTMLInputElement) => (input.value === "" ? 0 : Math.min(9999, Math.max(0, Math.trunc(input.valueAsNumber || 0))));
  return (
    <div id="album-filter" class="filter">
      <fieldset>
        <legend>{t("library.years")}</legend>
        <div class="chips">
          <For each={decades}>
            {(d) => (
              <button
                type="button"
                class="chip"
                aria-pressed={props.filter.from === d && props.filter.to === d + 9}
                onClick={() => props.set(props.filter.from === d && props.filter.to === d + 9 ? { from: 0, to: 0 } : { from: d, to: d + 9 })}
              >
                {t("library.decade", { year: String(d) })}
              </button>
            )}
          </For>
          <span class="years">
            <input type="number" inputmode="numeric" min="1" max="9999" aria-label={t("library.fromYear")} placeholder={t("library.fromYear")} value={props.filter.from || ""} onChange={(e) => props.set({ from: yearOf(e.currentTarget) })} />
            <span aria-hidden="true">–</span>
            <input type="number" inputmode="numeric" min="1" max="9999" aria-label={t("library.toYear")} placeholder={t("library.toYear")} value={props.filter.to || ""} onChange={(e) => props.set({ to: yearOf(e.currentTarget) })} />
          </span>
        </div>
      </fieldset>
      <Show when={byAlbums().length > 0}>
        <fieldset>
          <legend>{t("library.genresTitle")}</legend>
          <div class="chips">
            <For each={byAlbums().slice(0, manyGenres)}>
              {(g) => (
                <button type="button" class="chip" dir="auto" aria-pressed={props.filter.genres.includes(g.name)} onClick={() => props.set({ genres: toggle(props.filter.genres, g.name) })}>
                  {g.name}
                </button>
              )}
            </For>
            <Show when={byAlbums().length > manyGenres}>
              <label class="choice">
                <span class="visually-hidden">{t("library.moreGenres")}</span>
                <select
                  onChange={(e) => {
                    props.set({ genres: toggle(props.filter.genres, e.currentTarget.value) });
                    e.currentTarget.value = "";
                  }}
                >
                  <option value="">{t("library.moreGenres")}</option>
                  <For each={byAlbums().slice(manyGenres)}>{(g) => <option value={g.name}>{g.name}</option>}</For>
                </select>
              </label>
            </Show>
          </div>
        </fieldset>
      </Show>
      <fieldset>
        <legend>{t("library.format")}</legend>
        <div class="chips">
          <For each={formats}>
            {(f) => (
              <button type="button" class="chip" aria-pressed={props.filter.formats.includes(f)} onClick={() => props.set({ formats: toggle(props.filter.formats, f) })}>
                {f.toUpperCase()}
              </button>
            )}
          </For>
        </div>
      </fieldset>
    </div>
  );
}

function NoAlbums(props: { order: string; filtered: boolean; onClear: () => void }): JSX.Element {
  return (
    <Show
      when={props.filtered}
      fallback={
        <Show when={["recent", "frequent", "starred", "highest"].includes(props.order)} fallback={<EmptyLibrary />}>
          <Message icon={props.order === "starred" || props.order === "highest" ? "star" : "clock"} title={t(props.order === "starred" ? "library.noneStarred" : "library.nothingYet")}>
            <p>{t(props.order === "starred" ? "library.noneStarredAlbums" : props.order === "highest" ? "library.noneRated" : "library.nonePlayed")}</p>
          </Message>
        </Show>
      }
    >
      <Message
        icon="filter"
        title={t("library.noneFits")}
        action={
          <button type="button" class="button" onClick={() => props.onClear()}>
            {t("library.clearFilters")}
          </button>
        }
      >
        <p>{t("library.noneFitsMore")}</p>
      </Message>
    </Show>
  );
}

