import { createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, onMount, Show, untrack } from "solid-js";
import { createStore } from "solid-js/store";

const pageSize = 60;
/** Rows kept beyond what is seen, above and below. */
const overscan = 2;
/** The text below a cover, in pixels; the style sheet clips it to that. */
const captionHeight = 58;

/**
 * A grid of any length: it is as tall as the whole list, holds only the rows that are seen, and fetches pages of the list
 * as they come into view.
 */
export function VirtualGrid<T extends { id: string }>(props: {
  /** Changes when the list is another one. */
  listKey: string;
  fetch: (offset: number, limit: number) => Promise<{ items: T[]; total: number }>;
  /** What is known already of the beginning. */
  first: { items: T[]; total: number };
  label: string;
  children: (item: T) => JSX.Element;
  onError: (cause: unknown) => void;
}): JSX.Element {
  let box!: HTMLUListElement;
  const [width, setWidth] = createSignal(0);
  const [view, setView] = createSignal({ top: 0, height: innerHeight });
  const [items, setItems] = createStore<Record<number, T>>({});
  const asked = new Set<number>();

  const gap = () => (width() < 600 ? 14 : 24);
  const columns = () => Math.max(2, Math.floor((width() + gap()) / ((width() < 600 ? 140 : 172) + gap())));
  const cell = () => (width() - gap() * (columns() - 1)) / columns();
  const rowHeight = () => cell() + captionHeight + gap();
  const rows = () => Math.ceil(props.first.total / columns());
  const range = createMemo(
    () => {
      const h = rowHeight();
      const from = Math.max(0, Math.floor(view().top / h) - overscan);
      return { from, to: Math.min(rows(), Math.ceil((view().top + view().height) / h) + overscan) };
    },
    undefined,
    { equals: (a, b) => a.from === b.from && a.to === b.to },
  );
  const shown = createMemo(() => {
    const { from, to } = range();
    const first = from * columns();
    return Array.from({ length: Math.max(0, Math.min(props.first.total, to * columns()) - first) }, (_, i) => first + i);
  });

  const place = (offset: number, list: readonly T[]) => {
    for (const [i, item] of list.entries()) setItems(offset + i, item);
  };

  createEffect(
    on(
      () => [props.listKey, props.first] as const,
      () => {
        asked.clear();
        for (const i of Object.keys(untrack(() => items))) setItems(Number(i), undefined as unknown as T);
        place(0, props.first.items);
        for (let p = 0; (p + 1) * pageSize <= props.first.items.length; p++) asked.add(p);
      },
    ),
  );

  createEffect(() => {
    const indices = shown();
    const list = props.listKey;
    const lastNeeded = indices.at(-1);
    if (indices[0] === undefined || lastNeeded === undefined) return;
    for (let p = Math.floor(indices[0] / pageSize); p <= Math.floor(lastNeeded / pageSize); p++) {
      if (asked.has(p) || (p + 1) * pageSize <= props.first.items.length || props.first.items.length >= props.first.total) continue;
      asked.add(p);
      props.fetch(p * pageSize, pageSize).then(
        (got) => {
          if (props.listKey === list) place(p * pageSize, got.items);
        },
        (cause: unknown) => {
          asked.delete(p);
          props.onError(cause);
        },
      );
    }
  });

  onMount(() => {
    const measure = () => {
      const top = box.getBoundingClientRect().top;
      setView({ top: Math.max(0, -top), height: innerHeight });
    };
    let frame = 0;
    const soon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        measure();
      });
    };
    const size = new ResizeObserver(() => {
      setWidth(box.clientWidth);
      measure();
    });
    size.observe(box);
    setWidth(box.clientWidth);
    measure();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon, { passive: true });
    onCleanup(() => {
      size.disconnect();
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    });
  });

  return (
    <ul ref={box} class="virtual-grid" aria-label={props.label} style={{ height: `${Math.max(0, rows() * rowHeight() - gap())}px` }}>
      <Show when={width() > 0}>
        <For each={shown()}>
          {(i) => (
            <li
              aria-setsize={props.first.total}
              aria-posinset={i + 1}
              style={{
                width: `${cell()}px`,
                transform: `translate(${(i % columns()) * (cell() + gap())}px, ${Math.floor(i / columns()) * rowHeight()}px)`,
              }}
            >
              <Show when={items[i]} keyed fallback={<div class="skeleton card" aria-hidden="true" />}>
                {(item) => props.children(item)}
              </Show>
            </li>
          )}
        </For>
      </Show>
    </ul>
  );
}
