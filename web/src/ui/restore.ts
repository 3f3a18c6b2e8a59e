/** How long a view is waited for that is not yet as tall as it was. */
const patienceMs = 2_000;

let waiting: AbortController | undefined;

/**
 * Scrolls to where a view was left. What it shows may still be on its way: then as soon as it is tall enough, unless the
 * reader has begun to scroll by then.
 */
export function restoreScroll(y: number): void {
  waiting?.abort();
  const abort = (waiting = new AbortController());
  const { signal } = abort;
  const reached = () => {
    scrollTo({ top: y, behavior: "instant" });
    return Math.abs(scrollY - y) < 2;
  };
  requestAnimationFrame(() => {
    if (signal.aborted || reached()) return;
    const grows = new ResizeObserver(() => {
      if (reached()) abort.abort();
    });
    grows.observe(document.body);
    const timer = setTimeout(() => abort.abort(), patienceMs);
    for (const name of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(name, () => abort.abort(), { signal, passive: true });
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      grows.disconnect();
    });
  });
}
