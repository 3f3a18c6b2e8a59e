import { createSignal, onCleanup, onMount } from "solid-js";

export interface Scrolled {
  width: () => number;
  /** How far above the window's top the element begins, in pixels; negative while it begins below. */
  top: () => number;
  /** The window's height. */
  height: () => number;
}

/** Where the window stands over an element that scrolls with the page, measured once a frame while it moves. */
export function createScrolled(element: () => HTMLElement): Scrolled {
  const [width, setWidth] = createSignal(0);
  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(innerHeight);
  onMount(() => {
    const box = element();
    const measure = () => {
      setTop(-box.getBoundingClientRect().top);
      setHeight(innerHeight);
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
  return { width, top, height };
}

/** Pixels to a rem: lengths in rem grow with the size of text that the reader has chosen, and rows of text must, too. */
export const rem = (n: number): number => n * parseFloat(getComputedStyle(document.documentElement).fontSize);
