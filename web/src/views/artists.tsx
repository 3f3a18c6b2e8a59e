import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { Artist, ArtistWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { go, href, place } from "../router";
import { ArtistCard } from "../ui/artist";
import { EmptyLibrary } from "../ui/empty";
import { VirtualGrid } from "../ui/grid";
import { openMenu } from "../ui/menu";
import { createWhole } from "../ui/paging";
import { Await, complain, Cover, Message } from "../ui/parts";
import { artistPath } from "../ui/paths";
import { onMenu } from "../ui/press";
import { roleName } from "../ui/roles";
import { createScrolled, rem } from "../ui/scrolled";
import { useTitle } from "../ui/title";
import { t } from "../words";
import "./albums.css";
import "./artists.css";
import "./genres.css";
import { letterOf } from "./letters";
import { fold } from "./matching";

const roles = ["albumartist", "artist", "composer", "lyricist", "arranger", "conductor", "performer", "remixer", "producer", "engineer", "mixer"];

/** So few have room for a large picture each; more are found by their letters. */
const fewArtists = 150;

export function Artists(): JSX.Element {
  useTitle(() => t("library.artistsTitle"));
  const role = () => { const r = place().query.get("role") ?? "albumartist"; return roles.includes(r) ? r : "albumartist"; };
  const loaded = load<ArtistWindow>(() => ({ path: "artists", query: { role: role() } }));
  const [text, setText] = createSignal("");
  const shown = createMemo(() => {
    const wanted = fold(text().trim());
    const all = loaded.value()?.items ?? [];
    return wanted === "" ? all : all.filter((a) => fold(a.name).includes(wanted));
  });
  const grid = createWhole(shown);
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.artistsTitle")}</h1>
          <p class="muted">{(() => { const w = loaded.value(); return w && w.total > 0 ? t("library.artists", { count: w.total }) : " "; })()}</p>
        </div>
        <div class="choices">
          <label class="choice find">
            <span class="visually-hidden">{t("library.findArtist")}</span>
            <input type="search" placeholder={t("library.findArtist")} autocomplete="off" value={text()} onInput={(e) => setText(e.currentTarget.value)} />
          </label>
          <label class="choice">
            <span class="visually-hidden">{t("library.role")}</span>
            <select onChange={(e) => go(e.currentTarget.value === "albumartist" ? "/artists" : `/artists?role=${e.currentTarget.value}`)}>
              <For each={roles}>
                {(r) => (
                  <option value={r} selected={role() === r}>
                    {roleName(r)}
                  </option>
                )}
              </For>
            </select>
          </label>
        </div>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
        {(w) => (
          <Show
            when={w().items.length > 0}
            fallback={
              <Show when={role() !== "albumartist"} fallback={<EmptyLibrary />}>
                <Message icon="artists" title={t("library.nobodyInRole")}>
                  <p>{t("library.nobodyInRoleMore")}</p>
                </Message>
              </Show>
            }
          >
            <Show when={shown().length > 0} fallback={<Message icon="search" title={t("library.nothingFound")} />}>
              <Show when={shown().length > fewArtists} fallback={<VirtualGrid items={grid} label={t("library.artistsTitle")}>{(a) => <ArtistCard artist={a} />}</VirtualGrid>}>
                <ByLetter artists={shown()} />
              </Show>
            </Show>
          </Show>
        )}
      </Await>
    </>
  );
}

/** Heights in rem: a letter's heading, and a row of artists. */
const headHeight = 3.4;
const tileHeight = 5.2;

/** Rows kept beyond what is seen, in pixels. */
const overscan = 400;

interface Block {
  readonly letter: string;
  /** Of its first artist among all. */
  readonly first: number;
  readonly count: number;
}

/** Artists under their letters, of whom only those that are seen are there; a row of letters leads to each. */
function ByLetter(props: { artists: readonly Artist[] }): JSX.Element {
  const player = usePlayer();
  let box!: HTMLDivElement;
  const scrolled = createScrolled(() => box);
  const blocks = createMemo(() => {
    const out: Block[] = [];
    for (const [i, a] of props.artists.entries()) {
      const letter = letterOf(a.sortName ?? a.name);
      const last = out.at(-1);
      if (last?.letter === letter) out[out.length - 1] = { ...last, count: last.count + 1 };
      else out.push({ letter, first: i, count: 1 });
    }
    return out;
  });
  const columns = createMemo(() => Math.max(1, Math.floor((scrolled.width() + 16) / (rem(15.4) + 16))));
  /** Where each letter's block begins, in pixels; one more for the end. */
  const tops = createMemo(() => {
    const out = [0];
    for (const b of blocks()) out.push((out.at(-1) ?? 0) + rem(headHeight) + Math.ceil(b.count / columns()) * rem(tileHeight));
    return out;
  });
  const seen = createMemo(
    () => {
      const from = Math.max(0, scrolled.top()) - overscan;
      const to = scrolled.top() + scrolled.height() + overscan;
      const indices: number[] = [];
      const heads: number[] = [];
      for (const [n, b] of blocks().entries()) {
        const top = tops()[n] ?? 0;
        if ((tops()[n + 1] ?? 0) < from) continue;
        if (top > to) break;
        heads.push(n);
        const body = top + rem(headHeight);
        const firstRow = Math.max(0, Math.floor((from - body) / rem(tileHeight)));
        const lastRow = Math.ceil((to - body) / rem(tileHeight));
        for (let i = firstRow * columns(); i < Math.min(b.count, lastRow * columns()); i++) indices.push(b.first + i);
      }
      return { heads, indices };
    },
    undefined,
    { equals: (a, b) => a.heads.join() === b.heads.join() && a.indices[0] === b.indices[0] && a.indices.length === b.indices.length },
  );
  const blockOf = (i: number): number => {
    let low = 0;
    let high = blocks().length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((blocks()[middle]?.first ?? 0) <= i) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const placeOf = (i: number) => {
    const n = blockOf(i);
    const within = i - (blocks()[n]?.first ?? 0);
    const width = 100 / columns();
    return {
      "inset-block-start": `${(tops()[n] ?? 0) + rem(headHeight) + Math.floor(within / columns()) * rem(tileHeight)}px`,
      "inset-inline-start": `${(within % columns()) * width}%`,
      width: `calc(${width}% - 16px)`,
      height: `${rem(tileHeight)}px`,
    };
  };
  const jump = (n: number) => {
    const padding = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    scrollTo({ top: scrollY + box.getBoundingClientRect().top + (tops()[n] ?? 0) - padding - rem(2.6), behavior: "instant" });
    const first = blocks()[n]?.first ?? 0;
    requestAnimationFrame(() => requestAnimationFrame(() => box.querySelector<HTMLElement>(`[data-index="${first}"] a`)?.focus({ preventScroll: true })));
  };
  const current = createMemo(() => {
    const at = scrolled.top() + 120;
    const n = tops().findIndex((top, i) => top <= at && (tops()[i + 1] ?? Infinity) > at);
    return Math.max(0, n);
  });
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    const at = Number((e.target instanceof Element ? e.target.closest<HTMLElement>("[data-index]") : null)?.dataset.index ?? Number.NaN);
    if (Number.isNaN(at)) return;
    const on = getComputedStyle(box).direction === "rtl" ? -1 : 1;
    const to: Record<string, number | undefined> = { ArrowRight: at + on, ArrowLeft: at - on, ArrowDown: at + columns(), ArrowUp: at - columns() };
    const next = to[e.key];
    if (next === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    const link = box.querySelector<HTMLElement>(`[data-index="${Math.min(Math.max(0, next), props.artists.length - 1)}"] a`);
    link?.focus({ preventScroll: true });
    link?.scrollIntoView({ block: "nearest" });
  };

  return (
    <>
      <Show when={blocks().length > 3 && props.artists.length > 30}>
        <nav class="letters" aria-label={t("library.letters")}>
          <ul role="list">
            <For each={blocks()}>
              {(b, n) => (
                <li>
                  <button type="button" aria-current={current() === n() ? "true" : undefined} onClick={() => jump(n())}>
                    {b.letter}
                  </button>
                </li>
              )}
            </For>
          </ul>
        </nav>
      </Show>
      <div ref={box} class="by-letter" style={{ height: `${tops().at(-1) ?? 0}px` }}>
        <For each={seen().heads}>
          {(n) => (
            <h2 style={{ "inset-block-start": `${tops()[n] ?? 0}px` }} aria-hidden="true">
              {blocks()[n]?.letter}
            </h2>
          )}
        </For>
        <ul role="list" aria-label={t("library.artistsTitle")} onKeyDown={onKeyDown}>
          <For each={seen().indices}>
            {(i) => (
              <li data-index={i} aria-setsize={props.artists.length} aria-posinset={i + 1} style={placeOf(i)}>
                <Show when={props.artists[i]} keyed>
                  {(a) => (
                    <a
                      class="artist-tile"
                      href={href(artistPath(a.id))}
                      ref={(el) =>
                        onMenu(el, (at) => {
                          import("../ui/actions").then((x) => openMenu({ label: t("library.moreOf", { name: a.name }), title: a.name, items: x.artistItems(player, a), at })).catch(complain);
                        })
                      }
                    >
                      <Cover id={a.id} has={a.hasCover} name={a.name} size={64} round />
                      <span>
                        <strong dir="auto">{a.name}</strong>
                        <small>{a.albumCount > 0 ? t("library.albums", { count: a.albumCount }) : t("lists.tracks", { count: a.trackCount })}</small>
                      </span>
                    </a>
                  )}
                </Show>
              </li>
            )}
          </For>
        </ul>
      </div>
    </>
  );
}
