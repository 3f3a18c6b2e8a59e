import { createEffect, createMemo, createSignal, createUniqueId, For, type JSX, onCleanup, onMount } from "solid-js";
import { t } from "../words";
import { shiftOf, slotAt } from "./order";
import "./drag.css";

/** Rows kept beyond what is seen, above and below, so that a quick scroll shows no gap. */
const overscan = 6;
/** How far a mouse goes before it means to drag, in pixels: less is an unsteady click. */
const threshold = 6;
/** From this close to an edge of what scrolls, dragging scrolls it. */
const edge = 64;

/** One row on its way. */
interface Lift {
  from: number;
  to: number;
  /** Where its top is, in pixels from the list's; undefined when it is moved by keyboard, and stands in its place. */
  top: number | undefined;
}

export interface RowProps {
  index: () => number;
  /** The button that moves the row; undefined where the list is only read. */
  handle: () => JSX.Element;
  /** Takes the row out; the focus goes to what comes to its place, so that a keyboard goes on from there. */
  remove: () => void;
}

/**
 * A list of any length whose rows can be moved: by the handle with mouse, finger or keyboard, with a mouse by the whole
 * row, and with Alt and the arrow keys from anywhere in a row. It holds only the rows that are seen, yet says how long
 * it is; the row with the focus and the one being moved stay. It scrolls with whatever scrolls around it.
 *
 * Every row is an object of its own: where the same track stands in a list twice, what holds it must differ.
 */
export function SortableList<T extends object>(props: {
  rows: readonly T[];
  rowHeight: number;
  label: string;
  /** How a row is called where it is spoken of. */
  nameOf: (row: T) => string;
  /** Left out where the list is only read. */
  onMove?: (from: number, to: number) => void;
  /** Delete was pressed in a row. */
  onRemove?: (index: number) => void;
  /** The row that should be seen when the list appears. */
  showFirst?: number;
  rowClass?: (row: T, index: number) => Record<string, boolean>;
  children: (row: T, place: RowProps) => JSX.Element;
}): JSX.Element {
  let box!: HTMLOListElement;
  const hint = createUniqueId();
  const [view, setView] = createSignal({ top: 0, bottom: innerHeight });
  const [lift, setLift] = createSignal<Lift>();
  const [focused, setFocused] = createSignal(-1);
  const [said, setSaid] = createSignal("");

  const range = createMemo(
    () => ({
      from: Math.max(0, Math.floor(view().top / props.rowHeight) - overscan),
      to: Math.min(props.rows.length, Math.ceil(view().bottom / props.rowHeight) + overscan),
    }),
    undefined,
    { equals: (a, b) => a.from === b.from && a.to === b.to },
  );
  const shown = createMemo(() => {
    const { from, to } = range();
    const indices = new Set<number>();
    for (const kept of [focused(), lift()?.from ?? -1]) if (kept >= 0 && kept < from) indices.add(kept);
    for (let i = from; i < to; i++) indices.add(i);
    for (const kept of [focused(), lift()?.from ?? -1]) if (kept >= to && kept < props.rows.length) indices.add(kept);
    return indices;
  });
  // Rows are followed as objects, so that one that moves stays the same row on the page, with its focus.
  const places = createMemo(() => new Map([...shown()].flatMap((i) => { const row = props.rows[i]; return row === undefined ? [] : [[row, i] as const]; })));
  const rows = createMemo(() => [...places().keys()]);

  // As a memo: a handle that is made anew whenever its list's owner changes loses the focus.
  const movable = createMemo(() => props.onMove !== undefined);

  const measure = () => {
    const list = box.getBoundingClientRect();
    const around = scroller(box)?.getBoundingClientRect();
    const top = Math.max(0, around?.top ?? 0);
    const bottom = Math.min(innerHeight, around?.bottom ?? innerHeight);
    setView({ top: Math.max(0, top - list.top), bottom: Math.max(0, bottom - list.top) });
  };
  onMount(() => {
    let frame = 0;
    const soon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        measure();
      });
    };
    const size = new ResizeObserver(soon);
    size.observe(box);
    // Scrolling does not bubble; caught on its way down it is heard from whatever scrolls.
    document.addEventListener("scroll", soon, { passive: true, capture: true });
    addEventListener("resize", soon, { passive: true });
    measure();
    if (props.showFirst !== undefined && props.showFirst > 0) {
      const scrolls = scroller(box);
      if (scrolls !== undefined) scrolls.scrollTop += box.getBoundingClientRect().top - scrolls.getBoundingClientRect().top + (props.showFirst - 1) * props.rowHeight;
      measure();
    }
    onCleanup(() => {
      size.disconnect();
      cancelAnimationFrame(frame);
      document.removeEventListener("scroll", soon, { capture: true });
      removeEventListener("resize", soon);
    });
  });
  createEffect(() => {
    if (focused() >= props.rows.length) setFocused(-1);
  });

  const tell = (key: "lifted" | "at" | "dropped" | "cancelled", index: number, row: T) =>
    setSaid(t(`lists.move.${key}`, { name: props.nameOf(row), place: index + 1, count: props.rows.length }));

  /** Moves, and keeps the focus where it was: a browser takes it from an element that is put elsewhere in the document. */
  const move = (from: number, to: number) => {
    const active = document.activeElement;
    if (focused() === from) setFocused(to);
    props.onMove?.(from, to);
    queueMicrotask(() => {
      if (active instanceof HTMLElement && active.isConnected && box.contains(active) && document.activeElement !== active) active.focus({ preventScroll: true });
      box.querySelector("li:focus-within")?.scrollIntoView({ block: "nearest" });
    });
  };

  const settle = (drop: boolean) => {
    const l = lift();
    setLift(undefined);
    if (l === undefined) return;
    const row = props.rows[l.from];
    if (drop && l.to !== l.from) move(l.from, l.to);
    if (row !== undefined) tell(drop ? "dropped" : "cancelled", drop ? l.to : l.from, row);
  };

  /** Brings a row into view and gives the focus to the same control in it. */
  const focusRow = (index: number, control: number) => {
    const to = Math.min(props.rows.length - 1, Math.max(0, index));
    if (props.rows[to] === undefined) return;
    setFocused(to);
    queueMicrotask(() => {
      const li = box.querySelector<HTMLElement>(`li[aria-posinset="${to + 1}"]`);
      const controls = controlsOf(li);
      (controls[Math.max(0, control)] ?? controls[0])?.focus({ preventScroll: true });
      li?.scrollIntoView({ block: "nearest" });
    });
  };

  const remove = (index: number) => {
    const active = document.activeElement;
    const row = active !== null && box.contains(active) ? active.closest("li") : null;
    const control = controlsOf(row).findIndex((c) => c === active);
    props.onRemove?.(index);
    if (control >= 0 && props.rows.length > 0) focusRow(Math.min(index, props.rows.length - 1), control);
  };

  const key = (e: KeyboardEvent, index: number, row: T) => {
    const l = lift();
    const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
    const to = e.key === "Home" ? 0 : e.key === "End" ? props.rows.length - 1 : undefined;
    const done = () => {
      e.preventDefault();
      e.stopPropagation();
    };
    if (l !== undefined && l.top === undefined) {
      if (e.key === "Escape" || e.key === "Tab") {
        if (e.key === "Escape") done();
        settle(false);
      } else if (step !== 0 || to !== undefined) {
        done();
        const next = Math.min(props.rows.length - 1, Math.max(0, to ?? l.to + step));
        setLift({ ...l, to: next });
        tell("at", next, row);
        box.querySelector(".lifted")?.scrollIntoView({ block: "nearest" });
      }
      return;
    }
    if (step !== 0 && e.altKey && props.onMove) {
      done();
      const next = index + step;
      if (next < 0 || next >= props.rows.length) return;
      move(index, next);
      tell("dropped", next, row);
      return;
    }
    if (e.altKey || e.ctrlKey || e.metaKey || e.shiftKey) return;
    if (step !== 0 || to !== undefined) {
      done();
      const at = e.target instanceof Element ? e.target : null;
      focusRow(to ?? index + step, controlsOf(at?.closest("li") ?? null).findIndex((c) => c === at));
    } else if (e.key === "Delete" && props.onRemove) {
      done();
      remove(index);
    }
  };

  /** Follows a pointer from a press to its release. */
  const press = (e: PointerEvent, index: number, onHandle: boolean) => {
    if (props.onMove === undefined || e.button !== 0 || (!onHandle && e.pointerType !== "mouse")) return;
    if (lift() !== undefined) return;
    const startY = e.clientY;
    const grip = startY - (box.getBoundingClientRect().top + index * props.rowHeight);
    let y = startY;
    let frame = 0;
    const scrolls = scroller(box);
    const follow = () => {
      const top = y - grip - box.getBoundingClientRect().top;
      const row = props.rows[index];
      const to = slotAt(top, props.rowHeight, props.rows.length);
      const before = lift()?.to;
      setLift({ from: index, to, top });
      if (row !== undefined && before !== to) tell("at", to, row);
    };
    const scroll = () => {
      frame = 0;
      const around = scrolls?.getBoundingClientRect();
      const upper = Math.max(0, around?.top ?? 0) + edge;
      const lower = Math.min(innerHeight, around?.bottom ?? innerHeight) - edge;
      const by = y < upper ? (y - upper) / 4 : y > lower ? (y - lower) / 4 : 0;
      if (by === 0) return;
      (scrolls ?? document.documentElement).scrollBy(0, by);
      follow();
      frame = requestAnimationFrame(scroll);
    };
    const go = (m: PointerEvent) => {
      if (m.pointerId !== e.pointerId) return;
      y = m.clientY;
      if (lift() === undefined && Math.abs(y - startY) < threshold) return;
      m.preventDefault();
      follow();
      frame ||= requestAnimationFrame(scroll);
    };
    const end = (m?: PointerEvent) => {
      if (m !== undefined && m.pointerId !== e.pointerId) return;
      cancelAnimationFrame(frame);
      removeEventListener("pointermove", go);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", cancel);
      removeEventListener("keydown", escape, { capture: true });
      if (lift() === undefined) return;
      // The click that the browser makes of the release belongs to the drag, not to what lies under it.
      const swallow = (c: MouseEvent) => {
        c.stopPropagation();
        c.preventDefault();
      };
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
      settle(m?.type === "pointerup");
    };
    const cancel = (m: PointerEvent) => end(m);
    const escape = (k: KeyboardEvent) => {
      if (k.key !== "Escape" || lift() === undefined) return;
      k.preventDefault();
      k.stopPropagation();
      end();
    };
    addEventListener("pointermove", go);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", escape, { capture: true });
  };

  const handle = (row: T, index: () => number) => (
    <button
      type="button"
      class="handle"
      aria-label={t("lists.move", { name: props.nameOf(row) })}
      title={t("lists.move.title")}
      aria-describedby={hint}
      aria-pressed={lift()?.from === index() && lift()?.top === undefined}
      // Heard at the handle itself, so that a finger that rests on it before it drags opens no menu of the row.
      on:pointerdown={(e) => {
        e.stopPropagation();
        press(e, index(), true);
      }}
      on:contextmenu={(e) => {
        e.preventDefault();
        e.stopPropagation();
      }}
      onClick={(e) => {
        e.stopPropagation();
        const l = lift();
        if (l !== undefined) {
          // By pressing another row's handle the lifted one goes there, for those who cannot drag (WCAG 2.2, 2.5.7).
          if (l.from !== index()) setLift({ ...l, to: index() });
          settle(true);
          return;
        }
        setLift({ from: index(), to: index(), top: undefined });
        tell("lifted", index(), row);
      }}
      onBlur={(e) => {
        const toHandle = e.relatedTarget instanceof Element && e.relatedTarget.matches(".handle") && box.contains(e.relatedTarget);
        if (!toHandle && lift()?.from === index() && lift()?.top === undefined) settle(false);
      }}
    >
      <svg viewBox="0 0 14 20" aria-hidden="true">
        <path d="M3 3h2v2H3zM9 3h2v2H9zM3 9h2v2H3zM9 9h2v2H9zM3 15h2v2H3zM9 15h2v2H9z" />
      </svg>
    </button>
  );

  return (
    <>
      <ol ref={box} class="sortable" role="list" classList={{ moving: lift() !== undefined }} aria-label={props.label} style={{ height: `${props.rows.length * props.rowHeight}px` }}>
        <For each={rows()}>
          {(row) => {
            // A row on its way out has no place any more; it keeps its last one until it is gone.
            const index = createMemo<number>((before) => places().get(row) ?? before, 0);
            const lifted = () => lift()?.from === index();
            const y = () => {
              const l = lift();
              if (l === undefined) return index() * props.rowHeight;
              if (lifted()) return l.top ?? l.to * props.rowHeight;
              return (index() + shiftOf(index(), l.from, l.to)) * props.rowHeight;
            };
            return (
              <li
                aria-setsize={props.rows.length}
                aria-posinset={index() + 1}
                classList={{ lifted: lifted(), ...props.rowClass?.(row, index()) }}
                style={{ height: `${props.rowHeight}px`, transform: `translateY(${y()}px)` }}
                onPointerDown={(e) => press(e, index(), false)}
                onDragStart={(e) => e.preventDefault()}
                onKeyDown={(e) => key(e, index(), row)}
                onFocusIn={() => setFocused(index())}
                onFocusOut={(e) => {
                  if (!(e.relatedTarget instanceof Node && box.contains(e.relatedTarget)) && document.hasFocus() && lift() === undefined) setFocused(-1);
                }}
              >
                {props.children(row, { index, handle: () => (movable() ? handle(row, index) : undefined), remove: () => remove(index()) })}
              </li>
            );
          }}
        </For>
      </ol>
      <p id={hint} class="visually-hidden">
        {t("lists.move.hint")}
      </p>
      <p class="visually-hidden" aria-live="assertive">
        {said()}
      </p>
    </>
  );
}

/** What can be pressed in a row. */
const controlsOf = (row: Element | null): HTMLElement[] => [...(row?.querySelectorAll<HTMLElement>("button:not(:disabled), a[href]") ?? [])];

/** What scrolls an element: the nearest around it that can, or undefined for the page. */
function scroller(of: Element): Element | undefined {
  for (let e = of.parentElement; e !== null && e !== document.body; e = e.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(e).overflowY)) return e;
  }
  return undefined;
}
