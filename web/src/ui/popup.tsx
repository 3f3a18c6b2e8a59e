import { createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js";
import { render } from "solid-js/web";
import { go, href } from "../router";
import { t } from "../words";
import { Icon } from "./icons";
import type { MenuItem, MenuOptions } from "./menu";
import { complain } from "./parts";
import "./popup.css";

let close: (() => void) | undefined;

/** Shows a menu above everything; resolves when it is gone. */
export function show(options: MenuOptions): Promise<void> {
  close?.();
  close = undefined;
  return new Promise((resolve) => {
    const host = document.createElement("div");
    // Inside the landmark, so that those who go by landmarks find it where it belongs.
    (document.getElementById("main") ?? document.body).append(host);
    let gone = false;
    const dispose = render(
      () => (
        <Popup
          {...options}
          onClose={() => {
            if (gone) return;
            gone = true;
            // Not while Solid is still in this menu's own event.
            queueMicrotask(() => {
              dispose();
              host.remove();
              resolve();
            });
          }}
        />
      ),
      host,
    );
  });
}

/** How long letters typed one after another make one word to look for, as menus of desktops have it. */
const typingMs = 600;

function Popup(props: MenuOptions & { onClose: () => void }): JSX.Element {
  let menu!: HTMLDivElement;
  const [line, setLine] = createSignal(0);
  let typed = "";
  let typedAt = 0;

  const lines = () => [...menu.querySelectorAll<HTMLElement>("[data-line]")];
  const focusLine = (n: number) => {
    const all = lines();
    const at = (n + all.length) % all.length;
    setLine(at);
    const to = all[at];
    (to?.querySelector<HTMLElement>('[aria-checked="true"]') ?? to?.querySelector<HTMLElement>("button") ?? to)?.focus();
  };
  const before = document.activeElement;
  const shut = () => {
    // The focus goes back to where it was, unless it has gone elsewhere by itself.
    const mine = menu.contains(document.activeElement);
    menu.hidePopover();
    if (mine && before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  const choose = (item: MenuItem) => {
    shut();
    if (item.to !== undefined) go(item.to);
    else Promise.resolve(item.run?.()).catch(complain);
  };

  /**
   * A press beside the menu closes it, and does nothing else. (popover="auto" would close it by the end of the very press
   * that opened it, where that was a finger that stayed.)
   */
  const outside = (e: PointerEvent) => {
    if (e.target instanceof Node && menu.contains(e.target)) return;
    shut();
    const swallow = (click: Event) => {
      click.preventDefault();
      click.stopPropagation();
    };
    addEventListener("click", swallow, { capture: true, once: true });
    addEventListener("pointerup", () => setTimeout(() => removeEventListener("click", swallow, { capture: true })), { once: true });
  };
  onMount(() => {
    addEventListener("pointerdown", outside, { capture: true });
    addEventListener("popstate", shut);
    onCleanup(() => {
      removeEventListener("pointerdown", outside, { capture: true });
      removeEventListener("popstate", shut);
    });
  });

  onMount(() => {
    const { at } = props;
    menu.showPopover();
    close = shut;
    // A sheet at the bottom of a phone has its place from the style sheet.
    const sheet = matchMedia("(max-width: 760px)").matches;
    menu.classList.toggle("sheet", sheet);
    if (!sheet) {
      const size = menu.getBoundingClientRect();
      const rtl = getComputedStyle(menu).direction === "rtl";
      const edge = 8;
      const anchor = at instanceof Element ? at.getBoundingClientRect() : undefined;
      let x: number;
      let y: number;
      if (anchor !== undefined) {
        x = rtl ? anchor.left : anchor.right - size.width;
        y = anchor.bottom + 4;
        if (y + size.height > innerHeight - edge) y = anchor.top - size.height - 4;
      } else {
        const point = at as { x: number; y: number };
        x = rtl ? point.x - size.width : point.x;
        y = point.y + size.height > innerHeight - edge ? point.y - size.height : point.y;
      }
      menu.style.left = `${Math.min(Math.max(edge, x), innerWidth - size.width - edge)}px`;
      menu.style.top = `${Math.min(Math.max(edge, y), Math.max(edge, innerHeight - size.height - edge))}px`;
    }
    focusLine(0);
  });

  const onKeyDown = (e: KeyboardEvent) => {
    // The page's own shortcuts are not for who is in a menu.
    e.stopPropagation();
    const moves: Record<string, (() => void) | undefined> = {
      ArrowDown: () => focusLine(line() + 1),
      ArrowUp: () => focusLine(line() - 1),
      Home: () => focusLine(0),
      End: () => focusLine(-1),
      Tab: shut,
      Escape: shut,
      ArrowRight: () => besides(1),
      ArrowLeft: () => besides(-1),
    };
    const move = moves[e.key];
    if (move !== undefined) {
      e.preventDefault();
      move();
      return;
    }
    if (e.key.length !== 1 || e.key === " " || e.ctrlKey || e.metaKey || e.altKey) return;
    typed = (e.timeStamp - typedAt < typingMs ? typed : "") + e.key.toLocaleLowerCase();
    typedAt = e.timeStamp;
    const all = lines();
    const from = typed.length === 1 ? line() + 1 : line();
    for (let i = 0; i < all.length; i++) {
      const at = (from + i) % all.length;
      if (all[at]?.textContent.trim().toLocaleLowerCase().startsWith(typed)) {
        focusLine(at);
        return;
      }
    }
  };
  /** From star to star, where the line is the five stars. */
  const besides = (by: number) => {
    const stars = [...(lines()[line()]?.querySelectorAll<HTMLElement>("button") ?? [])];
    const at = stars.findIndex((s) => s === document.activeElement);
    if (at < 0) return;
    const step = getComputedStyle(menu).direction === "rtl" ? -by : by;
    stars[Math.min(Math.max(0, at + step), stars.length - 1)]?.focus();
  };

  return (
    <div
      ref={menu}
      popover="manual"
      class="menu"
      role="menu"
      aria-label={props.label}
      onKeyDown={onKeyDown}
      onContextMenu={(e) => e.preventDefault()}
      on:toggle={(e: Event) => {
        if ("newState" in e && e.newState === "closed") props.onClose();
      }}
    >
      <Show when={props.title}>
        <div class="menu-head" role="presentation">
          <strong dir="auto">{props.title}</strong>
          <Show when={props.sub}>
            <span dir="auto">{props.sub}</span>
          </Show>
        </div>
      </Show>
      <For each={props.items}>
        {(item, i) => (
          <>
            <Show when={item.apart && i() > 0}>
              <div class="menu-line" role="separator" />
            </Show>
            <Show
              when={item.rating}
              fallback={
                <Show
                  when={item.to}
                  fallback={
                    <button type="button" role="menuitem" tabindex="-1" data-line onClick={() => choose(item)} onPointerMove={() => setLine(i())}>
                      <Show when={item.icon}>{(name) => <Icon name={name()} />}</Show>
                      <span>{item.label}</span>
                    </button>
                  }
                >
                  {(to) => (
                    <a
                      role="menuitem"
                      tabindex="-1"
                      data-line
                      href={href(to())}
                      onClick={(e) => {
                        if (e.ctrlKey || e.metaKey || e.shiftKey) return;
                        e.preventDefault();
                        choose(item);
                      }}
                    >
                      <Show when={item.icon}>{(name) => <Icon name={name()} />}</Show>
                      <span>{item.label}</span>
                    </a>
                  )}
                </Show>
              }
            >
              {(rating) => (
                <div role="group" aria-label={item.label} class="menu-stars" data-line>
                  <For each={[1, 2, 3, 4, 5]}>
                    {(n) => (
                      <button
                        type="button"
                        role="menuitemradio"
                        tabindex="-1"
                        aria-checked={rating().now === n}
                        aria-label={t("library.stars", { count: n })}
                        title={t("library.stars", { count: n })}
                        classList={{ on: n <= rating().now }}
                        onClick={() => {
                          shut();
                          rating().set(rating().now === n ? 0 : n);
                        }}
                      >
                        <Icon name="star" filled={n <= rating().now} />
                      </button>
                    )}
                  </For>
                </div>
              )}
            </Show>
          </>
        )}
      </For>
    </div>
  );
}
