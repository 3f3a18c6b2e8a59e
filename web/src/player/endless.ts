import { createEffect, createRoot, on } from "solid-js";
import { unwrap } from "solid-js/store";
import { get } from "../api/client";
import type { TrackItems } from "../api/wire";
import { choose } from "./choose";
import type { Player } from "./player";

/** With fewer than this many tracks to come, more are looked for: the next one is there before this one ends. */
const fewest = 3;

/** How many are added at once: they are like what was heard last, and that changes. */
const lot = 6;

/** How many are asked for, and how many where those are in the queue already. */
const asks = [60, 400] as const;

/** Adds music like the queue's last track whenever the queue is about to end, until the function it returns is called. */
export function goOn(player: Player): () => void {
  let asking = false;
  let over = false;
  const look = async (): Promise<void> => {
    if (asking || !wanted(player)) return;
    asking = true;
    try {
      for (const limit of asks) {
        const last = unwrap(player.state.queue.entries).at(-1)?.track;
        if (last === undefined) return;
        const { items } = await get<TrackItems>(`similar/${encodeURIComponent(last.id)}`, { limit });
        // The queue may be another by now, or end with another track.
        if (over || !wanted(player)) return;
        const queue = unwrap(player.state.queue.entries).map((e) => e.track);
        if (queue.at(-1)?.id !== last.id) return;
        const more = choose(items, queue, lot);
        if (more.length > 0) {
          player.addLast(more);
          return;
        }
      }
    } catch {
      // Nobody asked for this, and the next track asks again.
    } finally {
      asking = false;
    }
  };
  const dispose = createRoot((end) => {
    createEffect(on(() => wanted(player) && player.current()?.key, () => void look()));
    return end;
  });
  return () => {
    over = true;
    dispose();
  };
}

/** Whether the queue is about to end, and nothing else is to happen then. */
function wanted({ state }: Player): boolean {
  const left = state.queue.entries.length - 1 - state.queue.current;
  return state.playing && state.station === undefined && state.repeat === "off" && (state.sleep === undefined || typeof state.sleep === "object") && state.queue.current >= 0 && left < fewest;
}
