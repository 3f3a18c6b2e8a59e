import { createSignal } from "solid-js";
import { base } from "./api/client";

/**
 * The page's own router: the address is the state, so that reloading, sharing and the back button work. Where a view was
 * scrolled to is kept with its history entry and given back when somebody returns to it.
 */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Where the view was scrolled to when it was left; 0 for a new one. */
  readonly scroll: number;
}

const stateOf = (value: unknown): { scroll: number } =>
  typeof value === "object" && value !== null && "scroll" in value && typeof value.scroll === "number" ? { scroll: value.scroll } : { scroll: 0 };

function here(): Place {
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : location.pathname;
  return { path: path === "" ? "/" : path, query: new URLSearchParams(location.search), scroll: stateOf(history.state).scroll };
}

const [place, setPlace] = createSignal(here());
export { place };

history.scrollRestoration = "manual";
addEventListener("popstate", () => setPlace(here()));

export const href = (path: string): string => base + path;

function remember(): void {
  history.replaceState({ scroll: scrollY }, "");
}

/** Goes to a path of the page, such as "/album/al-0h3k". */
export function go(path: string): void {
  if (href(path) === location.pathname + location.search) {
    scrollTo({ top: 0, behavior: "smooth" });
    return;
  }
  remember();
  history.pushState({ scroll: 0 }, "", href(path));
  setPlace(here());
}

/** Changes the address without a new history entry, as typing into the search field does. */
export function replace(path: string): void {
  history.replaceState({ scroll: 0 }, "", href(path));
  setPlace(here());
}

/** Lets plain clicks on the page's own links stay in the page. */
export function interceptLinks(root: HTMLElement): void {
  root.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.origin !== location.origin || link.hasAttribute("download")) return;
    if (!link.pathname.startsWith(`${base}/`)) return;
    event.preventDefault();
    go(link.pathname.slice(base.length) + link.search);
  });
}

addEventListener("scrollend", remember, { passive: true });
