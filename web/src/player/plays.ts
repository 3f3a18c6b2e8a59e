import { createEffect, createRoot, onCleanup } from "solid-js";
import { isUnreachable, send } from "../api/client";
import { lost, session } from "../api/state";
import type { Play } from "../api/wire";
import { parsePlays } from "./waiting";

/** At most so many plays go in one request, and so many wait: more than anybody hears on a journey. */
const atOnce = 500;
const atMost = 5_000;

const keyOf = (user: string): string => `tutti.plays.${user}`;

/**
 * Counts what was heard to the end. A play that the server cannot be told of, as with music that was kept for a journey,
 * waits in this browser with its time until it can; one that the server refuses is given up.
 */
export function createPlays() {
  let sending = false;
  const waiting = (user: string) => parsePlays(localStorage.getItem(keyOf(user)));
  const keep = (user: string, list: readonly Play[]) => {
    if (list.length === 0) localStorage.removeItem(keyOf(user));
    else localStorage.setItem(keyOf(user), JSON.stringify(list.slice(-atMost)));
  };

  async function flush(): Promise<void> {
    const user = session()?.user.id;
    if (sending || user === undefined) return;
    sending = true;
    try {
      let many = atOnce;
      for (let next = waiting(user).slice(0, many); next.length > 0; next = waiting(user).slice(0, many)) {
        try {
          await send("POST", "plays", { plays: next });
        } catch (cause) {
          if (isUnreachable(cause) || session()?.user.id !== user) return;
          if (next.length > 1) {
            many = 1; // one of them is refused, the others are not to be lost with it
            continue;
          }
        }
        // Others may have been added at the end meanwhile.
        keep(user, waiting(user).slice(next.length));
      }
    } finally {
      sending = false;
    }
  }

  const dispose = createRoot((end) => {
    // The server is there again, or for the first time.
    createEffect(() => {
      if (session() && !lost()) void flush();
    });
    const online = () => void flush();
    addEventListener("online", online);
    onCleanup(() => removeEventListener("online", online));
    return end;
  });

  return {
    add(track: string): void {
      const user = session()?.user.id;
      if (user === undefined) return;
      keep(user, [...waiting(user), { track, at: new Date().toISOString() }]);
      void flush();
    },
    dispose,
  };
}
