import { createEffect, createMemo, createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import { get } from "../api/client";
import { load, readOnce } from "../api/state";
import type { Track, TrackWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { place, replace } from "../router";
import { dateText } from "../ui/dates";
import { EmptyLibrary } from "../ui/empty";
import { year } from "../ui/format";
import { Icon } from "../ui/icons";
import { TrackList } from "../ui/music";
import { createPaged, pageSize } from "../ui/paging";
import { Await, complain, Message } from "../ui/parts";
import { useTitle } from "../ui/title";
import { type Key, t } from "../words";
import "./albums.css";
import "./genres.css";

/** The server's orders, and what of a track a list in that order shows besides its names. */
const orders: readonly { value: string; name: Key; extra?: (x: Track) => string }[] = [
  { value: "artist", name: "library.byArtist" },
  { value: "title", name: "library.byTitle" },
  { value: "album", name: "library.byAlbum" },
  { value: "year", name: "library.byYear", extra: (x) => year(x.originalDate ?? x.date) },
  { value: "duration", name: "library.byLength" },
  { value: "added", name: "library.newest", extra: (x) => (x.added === undefined ? "" : dateText(x.added.slice(0, 10))) },
  { value: "recent", name: "library.recent", extra: (x) => (x.played === undefined ? "" : dateText(x.played.slice(0, 10))) },
  { value: "frequent", name: "library.frequent", extra: (x) => (x.playCount ? t("library.plays", { count: x.playCount }) : "") },
  { value: "highest", name: "library.highest", extra: (x) => (x.rating ? t("library.stars", { count: x.rating }) : "") },
  { value: "starred", name: "library.starred" },
];

/** Long enough that a fast typist's letters make one request, short enough not to be felt. */
const typingMs = 160;

export function Tracks(): JSX.Element {
  useTitle(() => t("library.tracksTitle"));
  const player = usePlayer();
  const order = () => orders.find((o) => o.value === place().query.get("order")) ?? orders[0];
  const reverse = () => place().query.get("reverse") === "true";
  const text = () => place().query.get("q") ?? "";
  const query = createMemo(() => ({ order: order()?.value, reverse: reverse() || undefined, q: text() || undefined }));
  const key = createMemo(() => JSON.stringify(query()));
  const found = load<TrackWindow>(() => ({ path: "tracks", query: { ...query(), limit: pageSize } }));
  // The list stays until the next one is here, so that it does not flicker while one types.
  const first = createMemo<TrackWindow | undefined>((before) => found.value() ?? before);
  const set = (change: { order?: string; reverse?: boolean; q?: string }) => {
    const q = new URLSearchParams();
    const o = change.order ?? order()?.value ?? "artist";
    const words = change.q ?? text();
    if (o !== "artist") q.set("order", o);
    if (change.reverse ?? reverse()) q.set("reverse", "true");
    if (words !== "") q.set("q", words);
    replace(`/tracks${q.size > 0 ? `?${q}` : ""}`);
  };
  const [typed, setTyped] = createSignal(text());
  createEffect(() => {
    const now = typed().trim();
    const timer = setTimeout(() => {
      if (now !== text()) set({ q: now });
    }, typingMs);
    onCleanup(() => clearTimeout(timer));
  });
  const shuffle = () => {
    get<TrackWindow>("tracks", { q: text() || undefined, random: true, limit: 500 }).then((w) => player.play(w.items.filter((x) => !x.missing)), complain);
  };
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.tracksTitle")}</h1>
          <p class="muted" role="status">
            {(() => { const w = first(); return w && w.total > 0 ? t("lists.tracks", { count: w.total }) : " "; })()}
          </p>
        </div>
        <div class="choices">
          <button type="button" class="button" onClick={shuffle}>
            <Icon name="shuffle" /> {t("library.shuffleAll")}
          </button>
          <label class="choice find">
            <span class="visually-hidden">{t("library.findTrack")}</span>
            <input type="search" placeholder={t("library.findTrack")} autocomplete="off" value={typed()} onInput={(e) => setTyped(e.currentTarget.value)} />
          </label>
          <label class="choice">
            <span class="visually-hidden">{t("library.order")}</span>
            <select onChange={(e) => set({ order: e.currentTarget.value, reverse: false })}>
              <For each={orders}>
                {(o) => (
                  <option value={o.value} selected={order() === o}>
                    {t(o.name)}
                  </option>
                )}
              </For>
            </select>
          </label>
          <button type="button" class="icon-button" aria-pressed={reverse()} aria-label={t("library.reverse")} title={t("library.reverse")} onClick={() => set({ reverse: !reverse() })}>
            <Icon name="sort" />
          </button>
        </div>
      </header>
      <Await value={first()} error={found.error()} retry={found.retry}>
        {(w) => {
          const paged = createPaged(() => ({ key: key(), first: w(), fetch: (offset, limit, signal) => readOnce<TrackWindow>("tracks", { ...query(), offset, limit }, signal) }), complain);
          return (
            <Show when={w().total > 0} fallback={<NoTracks filtered={text() !== ""} mine={["recent", "frequent", "highest", "starred"].includes(order()?.value ?? "")} />}>
              <TrackList paged={paged} listKey={key()} label={t("library.tracksTitle")} showAlbum extra={order()?.extra} />
            </Show>
          );
        }}
      </Await>
    </>
  );
}

function NoTracks(props: { filtered: boolean; mine: boolean }): JSX.Element {
  return (
    <Show
      when={props.filtered || props.mine}
      fallback={<EmptyLibrary />}
    >
      <Message icon={props.filtered ? "search" : "clock"} title={t(props.filtered ? "library.nothingFound" : "library.nothingYet")}>
        <p>{t(props.filtered ? "library.nothingFits" : "library.noneOfMine")}</p>
      </Message>
    </Show>
  );
}
