import { createEffect, createMemo, For, type JSX, Show } from "solid-js";
import "./grid.css";
import type { Paged } from "./paging";
import { createScrolled, rem } from "./scrolled";

/** Rows kept beyond what is seen, above and below. */
const overscan = 2;
/** The text below a picture, in rem; the style sheet clips it to that. */
const captionHeight = 3.9;

/**
 * A grid of any length that scrolls with the page: it is as tall as the whole list and holds only the rows that are seen.
 * Arrow keys move between what bears data-card in its cells.
 */
export function VirtualGrid<T>(props: { items: Paged<T>; label: string; children: (item: T) => JSX.Element }): JSX.Element {
  let box!: HTMLUListElement;
  const scrolled = createScrolled(() => box);

  const total = () => props.items.total();
  const narrow = () => scrolled.width() < 600;
  const gap = () => (narrow() ? 14 : 24);
  const columns = createMemo(() => Math.max(2, Math.floor((scrolled.width() + gap()) / ((narrow() ? 140 : 172) + gap()))));
  const cell = () => (scrolled.width() - gap() * (columns() - 1)) / columns();
  const rowHeight = createMemo(() => cell() + rem(captionHeight) + gap());
  const rows = () => Math.ceil(total() / columns());
  const range = createMemo(
    () => {
      const h = rowHeight();
      const top = Math.max(0, scrolled.top());
      const from = Math.max(0, Math.floor(top / h) - overscan);
      return { from: Math.min(from, rows()), to: Math.min(rows(), Math.ceil((top + scrolled.height()) / h) + overscan) };
    },
    undefined,
    { equals: (a, b) => a.from === b.from && a.to === b.to },
  );
  const shown = createMemo(() => {
    const { from, to } = range();
    const first = from * columns();
    return Array.from({ length: Math.max(0, Math.min(total(), to * columns()) - first) }, (_, i) => first + i);
  });
  createEffect(() => {
    const list = shown();
    props.items.look(list[0] ?? 0, (list.at(-1) ?? -1) + 1);
  });

  const onKeyDown = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    const at = Number((e.target instanceof Element ? e.target.closest<HTMLElement>("[data-index]") : null)?.dataset.index ?? Number.NaN);
    if (Number.isNaN(at)) return;
    const on = getComputedStyle(box).direction === "rtl" ? -1 : 1;
    const to: Record<string, number | undefined> = { ArrowRight: at + on, ArrowLeft: at - on, ArrowDown: at + columns(), ArrowUp: at - columns(), Home: at - (at % columns()), End: at - (at % columns()) + columns() - 1 };
    const next = to[e.key];
    if (next === undefined) return;
    // The page's own meaning of the arrows, to seek, is not for who is in the grid.
    e.preventDefault();
    e.stopPropagation();
    const card = box.querySelector<HTMLElement>(`[data-index="${Math.min(Math.max(0, next), total() - 1)}"] [data-card]`);
    card?.focus({ preventScroll: true });
    card?.closest("li")?.scrollIntoView({ block: "nearest" });
  };

  return (
    <ul ref={box} role="list" class="virtual-grid" aria-label={props.label} style={{ height: `${Math.max(0, rows() * rowHeight() - gap())}px` }} onKeyDown={onKeyDown}>
      <Show when={scrolled.width() > 0}>
        <For each={shown()}>
          {(i) => (
            <li
              data-index={i}
              aria-setsize={total()}
              aria-posinset={i + 1}
              style={{
                width: `${cell()}px`,
                "inset-inline-start": `${(i % columns()) * (cell() + gap())}px`,
                "inset-block-start": `${Math.floor(i / columns()) * rowHeight()}px`,
              }}
            >
              <Show when={props.items.at(i)} keyed fallback={<div class="skeleton-card" aria-hidden="true" />}>
                {(item) => props.children(item)}
              </Show>
            </li>
          )}
        </For>
      </Show>
    </ul>
  );
}
