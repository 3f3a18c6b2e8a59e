import { createEffect, createSignal, onCleanup } from "solid-js";
import { base } from "../api/client";
import type { Station } from "../api/wire";

/**
 * What a radio station says it plays, as it says it (the station's own words, mostly "Artist - Title"); "" while it says
 * nothing. The server listens to the station only while somebody does, and we to the server only while the page is seen.
 */
export function createStationTitle(station: () => Station | undefined): () => string {
  const [title, setTitle] = createSignal("");
  createEffect(() => {
    const id = station()?.id;
    setTitle("");
    if (id === undefined) return;
    let events: EventSource | undefined;
    const open = () => {
      events?.close();
      events = undefined;
      if (document.hidden) return;
      events = new EventSource(`${base}/api/v1/stations/${encodeURIComponent(id)}/events`);
      events.addEventListener("title", (e: MessageEvent<string>) => setTitle((JSON.parse(e.data) as { title: string }).title));
    };
    open();
    document.addEventListener("visibilitychange", open);
    onCleanup(() => {
      document.removeEventListener("visibilitychange", open);
      events?.close();
    });
  });
  return title;
}
