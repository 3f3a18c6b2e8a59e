import { createSignal, onCleanup, onMount } from "solid-js";

/** Whether the page is dark at the moment: by the reader's choice on the page (data-theme), else by the system's. */
export function createDark(): () => boolean {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const look = () => (root.dataset.theme === "dark" || root.dataset.theme === "light" ? root.dataset.theme === "dark" : system.matches);
  const [dark, setDark] = createSignal(look());
  onMount(() => {
    const again = () => setDark(look());
    const watch = new MutationObserver(again);
    watch.observe(root, { attributes: true, attributeFilter: ["data-theme"] });
    system.addEventListener("change", again);
    onCleanup(() => {
      watch.disconnect();
      system.removeEventListener("change", again);
    });
  });
  return dark;
}
