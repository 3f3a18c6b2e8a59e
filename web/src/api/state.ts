import { createEffect, createSignal, onCleanup } from "solid-js";
import { eventsUrl, get, isUnreachable, send, whenLost } from "./client";
import type { QueueEvent, ScanStatus, SessionReply } from "./wire";

// ---- Who is signed in ----

/** undefined: not known yet; null: nobody. */
const [session, setSession] = createSignal<SessionReply | null | undefined>(undefined);
export { session, setSession };

/** Whether the page was signed in until the server ended that, by time, by a changed password or from another browser. */
const [expired, setExpired] = createSignal(false);
export { expired };

/** What the page knows of one person is not for the next. */
export function forgetSession(ended: boolean): void {
  if (session()) setExpired(ended);
  answers.clear();
  setStars(new Map());
  setRatings(new Map());
  setSession(null);
}

export const can = (role: SessionReply["user"]["roles"][number]): boolean => {
  const roles = session()?.user.roles ?? [];
  return roles.includes(role) || roles.includes("admin");
};

// ---- What was read before ----

/** How many answers are kept to show at once when somebody comes back to a view; the oldest goes first. */
const kept = 200;
const answers = new Map<string, unknown>();

/** Counts up whenever the library has changed under the page; views that are shown read again. */
const [libraryEpoch, setLibraryEpoch] = createSignal(0);

function libraryChanged(): void {
  answers.clear();
  setLibraryEpoch((n) => n + 1);
}

/** The same for playlists, whosever they are. */
const [playlistsEpoch, setPlaylistsEpoch] = createSignal(0);
const ofPlaylists = (path: string): boolean => path === "playlists" || path.startsWith("playlists/");

function playlistsChanged(): void {
  for (const key of answers.keys()) if (ofPlaylists(key.slice(0, key.indexOf("?")))) answers.delete(key);
  setPlaylistsEpoch((n) => n + 1);
}

const keyOf = (path: string, query: Query): string => `${path}?${JSON.stringify(query)}`;

type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** Reads and keeps. */
export async function read<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const value = await get<T>(path, query, signal);
  const key = keyOf(path, query);
  answers.delete(key);
  answers.set(key, value);
  for (const oldest of answers.keys()) {
    if (answers.size <= kept) break;
    answers.delete(oldest);
  }
  return value;
}

const known = (path: string, query: Query = {}): unknown => answers.get(keyOf(path, query));

/** What was read before, or else reads: for parts of a list, and for what somebody is about to look at. */
export const readOnce = async <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> => (known(path, query) as T | undefined) ?? read<T>(path, query, signal);

export interface Loaded<T> {
  value: () => T | undefined;
  error: () => Error | undefined;
  /** Reads again, showing what is there meanwhile. */
  retry: () => void;
  set: (value: T) => void;
}

/**
 * What a view shows: what was read before at once, and what there is now as soon as it is here. A source of undefined
 * reads nothing.
 */
export function load<T>(source: () => { path: string; query?: Query } | undefined): Loaded<T> {
  const [value, setValue] = createSignal<T>();
  const [error, setError] = createSignal<Error>();
  const [attempt, setAttempt] = createSignal(0);
  let shown: string | undefined;
  createEffect(() => {
    const from = source();
    attempt();
    libraryEpoch();
    if (from !== undefined && ofPlaylists(from.path)) playlistsEpoch();
    const key = from && keyOf(from.path, from.query ?? {});
    // Read again because something changed, what is shown stays until the answer is here: a view that went blank between
    // would lose its place, its focus and what is being dragged.
    const before = from && (known(from.path, from.query) as T | undefined);
    if (before !== undefined || key !== shown) setValue(() => before);
    shown = key;
    if (from === undefined) return;
    const abort = new AbortController();
    onCleanup(() => abort.abort());
    setError(undefined);
    read<T>(from.path, from.query, abort.signal).then(
      (v) => {
        if (!abort.signal.aborted) setValue(() => v);
      },
      (cause: unknown) => {
        if (!abort.signal.aborted) setError(cause instanceof Error ? cause : new Error(String(cause)));
      },
    );
  });
  return { value, error, retry: () => setAttempt((n) => n + 1), set: (v) => setValue(() => v) };
}

// ---- Stars ----

/** What was starred or unstarred on this page, over what the server said when it was read. */
const [stars, setStars] = createSignal<ReadonlyMap<string, boolean>>(new Map());

export const isStarred = (thing: { id: string; starred?: string }): boolean => stars().get(thing.id) ?? thing.starred !== undefined;

/** Shows at once, takes it back if the server refuses. */
export async function toggleStar(thing: { id: string; starred?: string }): Promise<void> {
  const now = !isStarred(thing);
  setStars((m) => new Map(m).set(thing.id, now));
  try {
    await send(now ? "PUT" : "DELETE", `stars/${encodeURIComponent(thing.id)}`, undefined, true); // also where the page is left at once
  } catch (cause) {
    setStars((m) => new Map(m).set(thing.id, !now));
    throw cause;
  }
}

// ---- Ratings ----

/** What was rated on this page, over what the server said when it was read. */
const [ratings, setRatings] = createSignal<ReadonlyMap<string, number>>(new Map());

/** 1 to 5, or 0 for what has no rating. */
export const ratingOf = (thing: { id: string; rating?: number }): number => ratings().get(thing.id) ?? thing.rating ?? 0;

/** Shows at once, takes it back if the server refuses. stars is 1 to 5; 0 takes the rating away. */
export async function rate(thing: { id: string; rating?: number }, stars: number): Promise<void> {
  const before = ratingOf(thing);
  setRatings((m) => new Map(m).set(thing.id, stars));
  try {
    await send("PUT", `ratings/${encodeURIComponent(thing.id)}`, { rating: stars }, true);
  } catch (cause) {
    setRatings((m) => new Map(m).set(thing.id, before));
    throw cause;
  }
}

// ---- What happens on the server ----

const [scan, setScan] = createSignal<ScanStatus>();
export { scan };

/** The server does not answer. */
const [lost, setLost] = createSignal(false);
export { lost };

/** The newest word that a player of this listener saved the queue; undefined while nothing was heard. */
const [queueSaved, setQueueSaved] = createSignal<QueueEvent>();
export { queueSaved };

/** How often a server that refuses the event stream is asked for it again. Where it does not answer at all, the browser tries by itself. */
const againMs = 5_000;

/** While a scan goes on the views read again when there is so much more music than what they show. */
const growth = 1.5;

/**
 * Follows what happens while the page is seen and somebody is signed in: scans, changes of the library and of playlists,
 * the queue on other players. A hidden tab holds no connection and no timer. While a scan finds new music, the views are
 * told now and then, not at every file. The same stream tells whether the server is there: when it is back, the views
 * read again.
 */
export function followEvents(): void {
  createEffect(() => {
    if (!session()) return;
    let shown = 0;
    let stale = false;
    let opened = false;
    let events: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const close = () => {
      events?.close();
      events = undefined;
      clearTimeout(again);
    };
    const showChanges = () => {
      shown = scan()?.tracks ?? 0;
      stale = false;
      libraryChanged();
    };
    const open = () => {
      close();
      if (document.hidden) return;
      const source = new EventSource(eventsUrl());
      events = source;
      // What happened while nobody listened is not told: it is to be seen in the first word of the scan, or else read again.
      let first = true;
      source.addEventListener("open", () => {
        first = true;
        if (lost()) showChanges();
        else if (opened) playlistsChanged();
        opened = true;
        setLost(false);
      });
      source.addEventListener("error", () => {
        // The stream does not tell why. A request does: nobody signed in, nobody there, or only a connection that was dropped.
        get("session").catch((cause: unknown) => events === source && isUnreachable(cause) && setLost(true));
        if (source.readyState === EventSource.CLOSED && events === source) again = setTimeout(open, againMs);
      });
      source.addEventListener("scan", (event: MessageEvent<string>) => {
        const status = JSON.parse(event.data) as ScanStatus;
        const before = scan();
        setScan(status);
        if (before === undefined) shown = status.tracks;
        else if (first && (status.finished !== before.finished || status.tracks !== shown)) showChanges();
        else if (stale && (!status.scanning || shown === 0 || status.tracks > shown * growth)) showChanges();
        first = false;
      });
      source.addEventListener("library", () => {
        stale = true;
        const status = scan();
        if (status?.scanning !== true || shown === 0 || status.tracks > shown * growth) showChanges();
      });
      source.addEventListener("playlists", playlistsChanged);
      source.addEventListener("queue", (event: MessageEvent<string>) => setQueueSaved(JSON.parse(event.data) as QueueEvent));
    };
    open();
    // A request that fails means the stream's connection may be dead, too, and it would not be noticed for long.
    whenLost(() => {
      if (lost() || document.hidden) return;
      setLost(true);
      open();
    });
    document.addEventListener("visibilitychange", open);
    addEventListener("online", open);
    onCleanup(() => {
      document.removeEventListener("visibilitychange", open);
      removeEventListener("online", open);
      whenLost(() => undefined);
      close();
      setScan(undefined);
      setQueueSaved(undefined);
      setLost(false);
    });
  });
}
