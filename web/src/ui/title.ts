import { createEffect, createSignal, onCleanup } from "solid-js";

const [viewTitle, setViewTitle] = createSignal("");

/** What the view is of, for the window's title, the browser's history and its bookmarks; "" where there is no view. */
export { viewTitle };

/** Names the view for as long as it is shown. */
export function useTitle(name: () => string): void {
  createEffect(() => setViewTitle(name()));
  onCleanup(() => setViewTitle(""));
}
