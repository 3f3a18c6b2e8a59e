import { base } from "../api/client";
import { readOnce } from "../api/state";

/** How long a pointer rests on a link until that looks like the wish to follow it. */
const restMs = 70;

/** What the views at these addresses read first. */
const reads: readonly [address: RegExp, path: string][] = [
  [/^\/album\/([^/]+)$/, "albums"],
  [/^\/artist\/([^/]+)$/, "artists"],
];

/**
 * Reads what a link leads to while the pointer rests on it or the keyboard is at it, so that it is there when it is
 * followed. Returns how to stop.
 */
export function prefetchLinks(root: HTMLElement): () => void {
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData) return () => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = "";
  const consider = (event: Event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href]") : null;
    const address = link === null || link.origin !== location.origin ? "" : link.pathname.slice(base.length);
    if (address === last) return;
    clearTimeout(timer);
    last = address;
    for (const [pattern, path] of reads) {
      const id = pattern.exec(address)?.[1];
      // A failure shows to whoever follows the link.
      if (id !== undefined) timer = setTimeout(() => void readOnce(`${path}/${id}`).catch(() => undefined), restMs);
    }
  };
  root.addEventListener("pointerover", consider, { passive: true });
  root.addEventListener("focusin", consider, { passive: true });
  return () => {
    clearTimeout(timer);
    root.removeEventListener("pointerover", consider);
    root.removeEventListener("focusin", consider);
  };
}
