import { createEffect, createMemo, createSelector, createSignal, type JSX, mapArray, on, Show } from "solid-js";
import "./list.css";
import type { Paged } from "./paging";
import { createScrolled, rem } from "./scrolled";

/** Rows kept beyond what is seen, above and below. */
const overscan = 6;

/** A list as short as this is there as a whole, so that a browser's own search finds everything in it. */
const short = 60;

/**
 * Engines cannot lay out elements of any height: Gecko stops below 17.9 million pixels, Blink at 33.5. A list that would be
 * taller is this tall, and its scroll bar covers more rows to the pixel.
 */
const tallest = 16_000_000;

export interface Row {
  readonly index: number;
  /** It is the one of the list's rows that Tab reaches; the others are reached by arrow keys from there. Tracked. */
  readonly active: () => boolean;
}

/** Works a list from outside: what handles a key elsewhere moves the focus here. */
export interface ListHandle {
  focus: (index: number) => void;
  /** The index of the row that an element of the list is in. */
  indexOf: (target: EventTarget | null) => number | undefined;
}

/**
 * A list of any length that scrolls with the page: it is as tall as the whole, and holds only the rows that are seen and
 * the one that has the focus. It stays a list for those who hear it: every row says its place among all. Up, Down, Page
 * Up, Page Down, Home and End move from row to row; in a row, what bears data-row takes the focus.
 */
export function VirtualList<T>(props: {
  items: Paged<T>;
  /** Changes when the list is another one, which is looked at from its beginning. */
  listKey?: string;
  /** In rem, so that rows grow with the reader's text. */
  rowHeight: number;
  label: string;
  class?: string;
  ref?: (handle: ListHandle) => void;
  onKeyDown?: (event: KeyboardEvent, index: number) => void;
  onClick?: (event: MouseEvent) => void;
  onContextMenu?: (event: MouseEvent) => void;
  children: (item: T, row: Row) => JSX.Element;
}): JSX.Element {
  let box!: HTMLUListElement;
  const scrolled = createScrolled(() => box);
  const [active, setActive] = createSignal(0);
  const [focused, setFocused] = createSignal(false);
  const isActive = createSelector(active);

  const total = () => props.items.total();
  const rowHeight = createMemo(() => {
    scrolled.width(); // the size of text may change with it
    return rem(props.rowHeight);
  });
  const wanted = () => total() * rowHeight();
  const physical = () => Math.min(wanted(), tallest);
  /** How many pixels of the list one pixel of the page stands for. */
  const scale = () => (wanted() > tallest ? (wanted() - scrolled.height()) / (tallest - scrolled.height()) : 1);
  const top = () => Math.max(0, scrolled.top()) * scale();
  /** How much higher rows lie in the page than in the list. */
  const shift = createMemo(() => (scale() === 1 ? 0 : top() - Math.max(0, scrolled.top())));

  const range = createMemo(
    () => {
      if (total() <= short) return { from: 0, to: total() };
      const h = rowHeight();
      const from = Math.max(0, Math.floor(top() / h) - overscan);
      const below = Math.min(scrolled.height(), scrolled.height() + scrolled.top());
      return { from: Math.min(from, total()), to: Math.min(total(), Math.ceil((top() + Math.max(0, below)) / h) + overscan) };
    },
    undefined,
    { equals: (a, b) => a.from === b.from && a.to === b.to },
  );
  createEffect(() => props.items.look(range().from, range().to));
  const shown = createMemo(() => {
    const { from, to } = range();
    const list = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
    // Who listens to the page, or works it by keyboard, keeps their place while the list moves under it.
    const at = active();
    if (focused() && at < total()) {
      if (at < from) list.unshift(at);
      else if (at >= to) list.push(at);
    }
    return list;
  });

  createEffect(
    on(
      () => props.listKey,
      () => setActive(0),
      { defer: true },
    ),
  );
  createEffect(() => {
    if (active() >= total()) setActive(Math.max(0, total() - 1));
  });

  /** What has the focus stays what it is, even where the page of the list that it is of is no longer kept. */
  const itemAt = (i: number) => createMemo<T | undefined>((before) => props.items.at(i) ?? (focused() && isActive(i) ? before : undefined));

  const rowOf = (index: number) => box.querySelector<HTMLElement>(`:scope > [data-index="${index}"]`);
  const indexOf = (target: EventTarget | null): number | undefined => {
    const row = target instanceof Element ? target.closest<HTMLElement>("[data-index]") : null;
    return row !== null && box.contains(row) ? Number(row.dataset.index) : undefined;
  };

  /** The focus is on its way from one row to another: the one that it leaves may go before the other has it. */
  let moving = false;
  function focus(index: number): void {
    const at = Math.min(Math.max(0, index), total() - 1);
    if (at < 0) return;
    moving = true;
    setFocused(true);
    setActive(at);
    const style = getComputedStyle(document.documentElement);
    const head = parseFloat(style.scrollPaddingTop) || 0;
    const foot = parseFloat(style.scrollPaddingBottom) || 0;
    const h = rowHeight();
    const from = Math.max(0, scrolled.top()) * scale() + Math.min(0, scrolled.top());
    const over = at * h - (from + head);
    const under = (at + 1) * h - (from + scrolled.height() - foot);
    const by = over < 0 ? over : under > 0 ? under : 0;
    if (by !== 0) scrollBy({ top: by / scale(), behavior: "instant" });
    const row = rowOf(at);
    (row?.querySelector<HTMLElement>("[data-row]") ?? row)?.focus({ preventScroll: true });
    moving = false;
  }
  const handle: ListHandle = { focus, indexOf };
  createEffect(() => props.ref?.(handle));

  const onKeyDown = (event: KeyboardEvent) => {
    const at = indexOf(event.target);
    if (at === undefined || event.target instanceof HTMLInputElement && event.target.type !== "checkbox") return;
    props.onKeyDown?.(event, at);
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const screenful = Math.max(1, Math.floor((scrolled.height() * 0.7) / rowHeight()));
    const to: Record<string, number | undefined> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: total() - 1, PageDown: at + screenful, PageUp: at - screenful };
    const next = to[event.key];
    // Beyond its ends the arrows are for whatever is around the list.
    if (next === undefined || (event.key.startsWith("Arrow") && (next < 0 || next >= total()))) return;
    event.preventDefault();
    event.stopPropagation();
    focus(next);
  };

  const rows = createMemo(
    mapArray(shown, (i) => {
      const item = itemAt(i);
      return (
        <li
          ref={(li) => {
            // A row that took the focus before it was here gives it on to what it holds.
            createEffect(() => {
              if (item() !== undefined && document.activeElement === li) queueMicrotask(() => li.querySelector<HTMLElement>("[data-row]")?.focus({ preventScroll: true }));
            });
          }}
          data-index={i}
          tabindex="-1"
          aria-setsize={total()}
          aria-posinset={i + 1}
          style={{ height: `${rowHeight()}px`, "inset-block-start": `${i * rowHeight() - shift()}px` }}
        >
          <Show when={item()} keyed fallback={<div class="skeleton-row" aria-hidden="true" />}>
            {(one) => props.children(one, { index: i, active: () => isActive(i) })}
          </Show>
        </li>
      ) as HTMLElement;
    }),
  );
  // Not by <For>, which may take a row that stays out of the document and put it back elsewhere: that would cost the focus.
  createEffect(() => {
    const now = rows();
    const stays = new Set<Element>(now);
    for (const row of [...box.children]) if (!stays.has(row)) row.remove();
    let at = box.firstElementChild;
    for (const row of now) {
      if (row === at) at = at.nextElementSibling;
      else box.insertBefore(row, at);
    }
  });

  return (
    <ul
      ref={box}
      role="list"
      class={`virtual-list ${props.class ?? ""}`}
      aria-label={props.label}
      style={{ height: `${physical()}px` }}
      onKeyDown={onKeyDown}
      onClick={(e) => props.onClick?.(e)}
      onContextMenu={(e) => props.onContextMenu?.(e)}
      onFocusIn={(e) => {
        const at = indexOf(e.target);
        if (at !== undefined) setActive(at);
        setFocused(true);
      }}
      onFocusOut={(e) => {
        if (!moving && !(e.relatedTarget instanceof Node && box.contains(e.relatedTarget))) setFocused(false);
      }}
    />
  );
}
