/**
 * The queue as plain data and functions without effects: every function returns a new queue. The same track may stand
 * in it twice, so entries have keys of their own.
 */
export interface Entry<T> {
  readonly key: number;
  readonly track: T;
}

export interface Queue<T> {
  readonly entries: readonly Entry<T>[];
  /** Which entry plays, from 0; -1 in an empty queue. */
  readonly current: number;
}

export type Repeat = "off" | "all" | "one";

export const empty: Queue<never> = Object.freeze({ entries: [], current: -1 });

let lastKey = 0;
const entry = <T>(track: T): Entry<T> => ({ key: ++lastKey, track });

export function make<T>(tracks: readonly T[], start = 0): Queue<T> {
  if (tracks.length === 0) return empty;
  return { entries: tracks.map(entry), current: Math.min(Math.max(0, start), tracks.length - 1) };
}

export function append<T>(queue: Queue<T>, tracks: readonly T[]): Queue<T> {
  if (queue.entries.length === 0) return make(tracks);
  return { ...queue, entries: [...queue.entries, ...tracks.map(entry)] };
}

/** Puts tracks right behind the one that plays. */
export function insertNext<T>(queue: Queue<T>, tracks: readonly T[]): Queue<T> {
  if (queue.entries.length === 0) return make(tracks);
  return { ...queue, entries: queue.entries.toSpliced(queue.current + 1, 0, ...tracks.map(entry)) };
}

/** Puts tracks before the entry at a place; behind the last where there is none. What plays goes on playing. */
export function insertAt<T>(queue: Queue<T>, tracks: readonly T[], at: number): Queue<T> {
  if (queue.entries.length === 0) return make(tracks);
  const to = Math.min(Math.max(0, at), queue.entries.length);
  return { entries: queue.entries.toSpliced(to, 0, ...tracks.map(entry)), current: to <= queue.current ? queue.current + tracks.length : queue.current };
}

/** Takes an entry out. Where it was the one that plays, the next takes its place, or the last where there is none. */
export function remove<T>(queue: Queue<T>, key: number): Queue<T> {
  const at = queue.entries.findIndex((e) => e.key === key);
  if (at < 0) return queue;
  const entries = queue.entries.toSpliced(at, 1);
  const current = at < queue.current ? queue.current - 1 : queue.current;
  return { entries, current: Math.min(current, entries.length - 1) };
}

/** Moves an entry to another place; the one that plays goes on playing. */
export function move<T>(queue: Queue<T>, from: number, to: number): Queue<T> {
  const moved = queue.entries[from];
  if (moved === undefined || to < 0 || to >= queue.entries.length) return queue;
  const playing = queue.entries[queue.current];
  const entries = queue.entries.toSpliced(from, 1).toSpliced(to, 0, moved);
  return { entries, current: entries.findIndex((e) => e === playing) };
}

/** Keeps what played and what plays, and mixes what is to come (Fisher and Yates). random gives numbers in [0, 1). */
export function shuffleRest<T>(queue: Queue<T>, random: () => number): Queue<T> {
  const entries = [...queue.entries];
  const first = queue.current + 1;
  for (let i = entries.length - 1; i > first; i--) {
    const j = first + Math.floor(random() * (i - first + 1));
    const a = entries[i];
    const b = entries[j];
    if (a === undefined || b === undefined) continue;
    entries[i] = b;
    entries[j] = a;
  }
  return { ...queue, entries };
}

/** The place after the current one when a track ends by itself; undefined where the music ends. */
export function following<T>(queue: Queue<T>, repeat: Repeat): number | undefined {
  if (queue.current < 0) return undefined;
  if (repeat === "one") return queue.current;
  return neighbour(queue, 1, repeat);
}

/** The place one step on or back when somebody asks for it; undefined where there is none. */
export function neighbour<T>(queue: Queue<T>, step: 1 | -1, repeat: Repeat): number | undefined {
  const n = queue.entries.length;
  if (n === 0) return undefined;
  const at = queue.current + step;
  if (at >= 0 && at < n) return at;
  return repeat === "all" ? (at + n) % n : undefined;
}

export function jump<T>(queue: Queue<T>, to: number): Queue<T> {
  return to >= 0 && to < queue.entries.length ? { ...queue, current: to } : queue;
}
