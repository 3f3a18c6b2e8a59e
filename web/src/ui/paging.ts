import { createEffect, createSignal, onCleanup, type Signal, untrack } from "solid-js";

/** One page of a list that the server holds: where in the whole it begins is what was asked for. */
export interface Page<T> {
  items: T[];
  /** How long the whole list is. */
  total: number;
}

/** A list of any length, of which only what is looked at is fetched. */
export interface Source<T> {
  /** Changes when the list is another one: another order, another filter. */
  readonly key: string;
  /** What is known already of its beginning, a page of pageSize at most. */
  readonly first: Page<T>;
  readonly fetch: (offset: number, limit: number, signal: AbortSignal) => Promise<Page<T>>;
}

export const pageSize = 100;

/** Pages kept in memory: 6,000 entries, far more than anybody sees at once. What is farthest from view goes first. */
const kept = 60;

/** How long a page must stay in view before it is asked for while somebody flings through the list. */
const restMs = 60;

export interface Paged<T> {
  total: () => number;
  /** The entry, or undefined while it is on its way. Tracked. */
  at: (index: number) => T | undefined;
  /** Entries from one index up to another, fetching those that are not here. */
  some: (from: number, to: number) => Promise<T[]>;
  /** Says what is in view, so that it is fetched. */
  look: (from: number, to: number) => void;
}

/**
 * Pages of a list, fetched as they come into view. When the same list is read again (its first page is another object),
 * what is shown stays until its new page is here; when it is another list, everything is forgotten.
 */
export function createPaged<T>(source: () => Source<T>, onError: (cause: unknown) => void): Paged<T> {
  type Slot = Signal<readonly T[] | undefined>;
  const slots = new Map<number, Slot>();
  const fresh = new Set<number>();
  const flights = new Map<number, { abort: AbortController; done: Promise<void> }>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let seen = { from: 0, to: 0 };
  let generation = 0;

  const slot = (p: number): Slot => {
    let s = slots.get(p);
    if (s === undefined) slots.set(p, (s = createSignal<readonly T[] | undefined>(undefined)));
    return s;
  };

  const put = (p: number, items: readonly T[]) => {
    fresh.add(p);
    slot(p)[1](() => items);
    if (fresh.size <= kept) return;
    const middle = (seen.from + seen.to) / 2 / pageSize;
    const farthest = [...fresh].reduce((a, b) => (Math.abs(b - middle) > Math.abs(a - middle) ? b : a));
    fresh.delete(farthest);
    slots.get(farthest)?.[1](undefined);
  };

  let lastKey: string | undefined;
  createEffect(() => {
    const s = source();
    generation++;
    for (const f of flights.values()) f.abort.abort();
    flights.clear();
    fresh.clear();
    if (s.key !== lastKey) for (const one of slots.values()) one[1](undefined);
    lastKey = s.key;
    for (let p = 0; p * pageSize < s.first.items.length; p++) {
      const items = s.first.items.slice(p * pageSize, (p + 1) * pageSize);
      // A first answer that ends inside a page is that page's beginning only, unless the list ends there, too.
      if (items.length === pageSize || p * pageSize + items.length >= s.first.total) put(p, items);
      else slot(p)[1](() => items);
    }
    untrack(() => look(seen.from, seen.to));
  });
  onCleanup(() => {
    clearTimeout(timer);
    for (const f of flights.values()) f.abort.abort();
  });

  function fly(p: number): Promise<void> {
    const s = untrack(source);
    const mine = generation;
    const known = flights.get(p);
    if (known !== undefined) return known.done;
    const abort = new AbortController();
    const done = s.fetch(p * pageSize, pageSize, abort.signal).then(
      (got) => {
        if (mine !== generation) return;
        flights.delete(p);
        put(p, got.items);
      },
      (cause: unknown) => {
        if (flights.get(p)?.abort === abort) flights.delete(p);
        throw cause;
      },
    );
    flights.set(p, { abort, done });
    return done;
  }

  const pagesOf = (from: number, to: number): number[] => {
    const out: number[] = [];
    for (let p = Math.floor(from / pageSize); p * pageSize < to; p++) out.push(p);
    return out;
  };

  function look(from: number, to: number): void {
    const flung = Math.abs(from - seen.from) > pageSize;
    seen = { from, to };
    clearTimeout(timer);
    const ask = () => {
      const wanted = new Set(pagesOf(from, to));
      for (const [p, f] of flights) {
        if (wanted.has(p)) continue;
        f.abort.abort();
        flights.delete(p);
      }
      for (const p of wanted) {
        if (fresh.has(p) || flights.has(p)) continue;
        fly(p).catch((cause: unknown) => {
          if (!(cause instanceof DOMException && cause.name === "AbortError")) onError(cause);
        });
      }
    };
    if (flung) timer = setTimeout(ask, restMs);
    else ask();
  }

  return {
    total: () => source().first.total,
    at: (i) => slot(Math.floor(i / pageSize))[0]()?.[i % pageSize],
    async some(from, to) {
      const end = Math.min(to, untrack(() => source().first.total));
      const out: T[] = [];
      for (const p of pagesOf(from, end)) {
        let items = fresh.has(p) ? untrack(slot(p)[0]) : undefined;
        if (items === undefined) {
          // Not through look: what is asked for here is wanted wherever somebody scrolls meanwhile.
          const s = untrack(source);
          items = (await s.fetch(p * pageSize, pageSize, new AbortController().signal)).items;
        }
        out.push(...items.slice(Math.max(0, from - p * pageSize), Math.max(0, end - p * pageSize)));
      }
      return out;
    },
    look,
  };
}

/** A list that is here as a whole, with the same face. */
export function createWhole<T>(items: () => readonly T[]): Paged<T> {
  return {
    total: () => items().length,
    at: (i) => items()[i],
    some: (from, to) => Promise.resolve(items().slice(from, to)),
    look: () => undefined,
  };
}
