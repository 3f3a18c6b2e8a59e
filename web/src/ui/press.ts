/** How long a finger rests on something until that means its menu, and how far it may tremble meanwhile. */
const longMs = 480;
const trembles = 10; // pixels

/**
 * Opens an element's menu by the right mouse button, the menu key, Shift+F10, or a finger that stays: at the point where
 * that was, or at the element that has the focus. Engines differ in whether a long press makes a contextmenu event, so a
 * timer of our own asks first, and what else comes of the same press is swallowed.
 */
export function onMenu(element: HTMLElement, open: (at: { x: number; y: number } | Element, target: Element) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let from = { x: 0, y: 0 };
  let fired = false;
  const stop = () => clearTimeout(timer);
  element.addEventListener("pointerdown", (e) => {
    fired = false;
    stop();
    if (e.pointerType !== "touch" || !(e.target instanceof Element)) return;
    const { target } = e;
    from = { x: e.clientX, y: e.clientY };
    timer = setTimeout(() => {
      fired = true;
      swallowClick();
      open(from, target);
    }, longMs);
  });
  element.addEventListener("pointermove", (e) => {
    if (Math.hypot(e.clientX - from.x, e.clientY - from.y) > trembles) stop();
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) element.addEventListener(name, stop);
  element.addEventListener("contextmenu", (e) => {
    // The browser's own menu stays for text fields, and for whoever asks for it by holding Shift.
    if (!(e.target instanceof Element) || e.target instanceof HTMLInputElement || (e.shiftKey && e.button === 2)) return;
    e.preventDefault();
    stop();
    if (fired) return;
    const byKey = e.button !== 2 && !("pointerType" in e && e.pointerType !== "");
    open(byKey ? e.target : { x: e.clientX, y: e.clientY }, e.target);
  });
}

/**
 * Swallows the click that comes when the finger is lifted: it may be over the menu by now, and mean none of its items. What
 * is pressed after that counts.
 */
function swallowClick(): void {
  const swallow = (e: Event) => {
    e.preventDefault();
    e.stopPropagation();
  };
  addEventListener("click", swallow, { capture: true });
  addEventListener("pointerdown", () => removeEventListener("click", swallow, { capture: true }), { capture: true, once: true });
}
