import { createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js";
import { href } from "../router";
import { t } from "../words";
import { Icon } from "./icons";
import "./shelf.css";

/** A row of things that is scrolled sideways: by wheel or finger, by its two buttons, and by arrow keys from card to card. */
export function Shelf<T>(props: { title: string; sub?: string; to?: string; items: readonly T[]; action?: JSX.Element; small?: boolean; children: (item: T) => JSX.Element }): JSX.Element {
  let row!: HTMLUListElement;
  const [ends, setEnds] = createSignal({ start: true, end: true });

  const measure = () => {
    // In right-to-left documents scrollLeft counts down from 0.
    const at = Math.abs(row.scrollLeft);
    setEnds({ start: at < 4, end: at + row.clientWidth > row.scrollWidth - 4 });
  };
  const direction = () => (getComputedStyle(row).direction === "rtl" ? -1 : 1);
  const turn = (by: 1 | -1) => row.scrollBy({ left: by * direction() * row.clientWidth * 0.85, behavior: "smooth" });
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    const cards = [...row.querySelectorAll<HTMLElement>("[data-card]")];
    const at = cards.findIndex((c) => c.closest("li")?.contains(e.target as Node));
    if (at < 0) return;
    const on = direction();
    const to: Record<string, number | undefined> = { ArrowRight: at + on, ArrowLeft: at - on, Home: 0, End: cards.length - 1 };
    const next = to[e.key];
    if (next === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    cards[Math.min(Math.max(0, next), cards.length - 1)]?.focus();
  };

  onMount(() => {
    const size = new ResizeObserver(measure);
    size.observe(row);
    onCleanup(() => size.disconnect());
    measure();
  });

  return (
    <section class="shelf" classList={{ small: props.small ?? false }}>
      <header>
        <div>
          <h2>
            <Show when={props.to} fallback={props.title}>
              {(to) => (
                <a href={href(to())}>
                  {props.title}
                  <Icon name="forward" />
                </a>
              )}
            </Show>
          </h2>
          <Show when={props.sub}>
            <p class="muted">{props.sub}</p>
          </Show>
        </div>
        {props.action}
        <div class="shelf-turn" classList={{ needed: !(ends().start && ends().end) }}>
          <button type="button" class="icon-button" aria-label={t("library.shelfBack", { name: props.title })} disabled={ends().start} onClick={() => turn(-1)}>
            <Icon name="forward" />
          </button>
          <button type="button" class="icon-button" aria-label={t("library.shelfOn", { name: props.title })} disabled={ends().end} onClick={() => turn(1)}>
            <Icon name="forward" />
          </button>
        </div>
      </header>
      <ul ref={row} role="list" aria-label={props.title} onScroll={measure} onKeyDown={onKeyDown}>
        <For each={props.items}>{(item) => <li>{props.children(item)}</li>}</For>
      </ul>
    </section>
  );
}

/** A shelf's place while what stands on it is on its way. */
export function ShelfWaiting(): JSX.Element {
  return (
    <div class="shelf shelf-waiting" aria-hidden="true">
      <div class="skeleton shelf-name" />
      <ul>
        <For each={Array.from({ length: 8 })}>{() => <li class="skeleton card" />}</For>
      </ul>
    </div>
  );
}
