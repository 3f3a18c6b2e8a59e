import { createSignal, onCleanup } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { get, roomEventsUrl } from "../api/client";
import type { RoomNow, RoomsEvent, StepsEvent } from "../api/wire";

/** What a player said of itself: when, in ms since 1970, and how far off, in µs. */
export interface Step {
  readonly at: number;
  readonly errorUs: number;
}

/** For how long steps are shown, in ms, and after how long one is no more what is now. */
export const stepsMs = 300_000;
const freshMs = 4_000;

/** How often a stream that the server refuses is asked for again, in ms. */
const againMs = 3_000;

/** Follows the rooms for as long as the view is there: what they are, as they change, without asking. A hidden tab holds no connection. */
export function watchRooms() {
  const [state, set] = createStore<{ rooms: RoomNow[] | undefined }>({ rooms: undefined });
  const [error, setError] = createSignal<Error>();
  const [steps, setSteps] = createSignal<ReadonlyMap<string, readonly Step[]>>(new Map());
  /** When the rooms were as they are in state, by the page's clock. */
  const [told, setTold] = createSignal(performance.now());
  /** The server's clock as the latest step has it, and when that came: steps are shown by it, whatever this machine's clock says. */
  const [latest, setLatest] = createSignal({ at: 0, here: 0 });
  const [tick, setTick] = createSignal(performance.now());

  let events: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  const close = () => {
    events?.close();
    events = undefined;
    clearTimeout(again);
  };
  const open = () => {
    close();
    if (document.hidden) return;
    const source = new EventSource(roomEventsUrl());
    events = source;
    setSteps(new Map());
    source.addEventListener("rooms", (event: MessageEvent<string>) => {
      const { rooms } = JSON.parse(event.data) as RoomsEvent;
      setError(undefined);
      setTold(performance.now());
      setTick(performance.now());
      set("rooms", reconcile(rooms, { key: "id", merge: false }));
    });
    source.addEventListener("steps", (event: MessageEvent<string>) => {
      const said = (JSON.parse(event.data) as StepsEvent).steps;
      const all = new Map(steps());
      let { at: newest } = latest();
      for (const s of said) {
        const at = Date.parse(s.at);
        newest = Math.max(newest, at);
        all.set(s.player, [...(all.get(s.player) ?? []).filter((o) => at - o.at < stepsMs && at > o.at), { at, errorUs: s.errorUs }]);
      }
      setLatest({ at: newest, here: performance.now() });
      setSteps(all);
    });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED || events !== source) return;
      // The stream does not say why; a request does.
      get("rooms").catch((cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))));
      again = setTimeout(open, againMs);
    });
  };
  open();
  document.addEventListener("visibilitychange", open);
  // Positions go on by themselves between what is told.
  const ticking = setInterval(() => {
    if (!document.hidden && state.rooms?.some((r) => r.playing) === true) setTick(performance.now());
  }, 500);
  onCleanup(() => {
    document.removeEventListener("visibilitychange", open);
    clearInterval(ticking);
    close();
  });

  const now = () => latest().at + Math.max(0, tick() - latest().here);

  return {
    rooms: () => state.rooms,
    error,
    retry: open,
    steps,
    now,
    /** Where a room's current track is, in ms. */
    position(room: RoomNow): number {
      const since = room.playing ? Math.max(0, tick() - told()) : 0;
      return Math.min(room.positionMs + since, room.track?.durationMs ?? 0);
    },
    /** How far off a player is now, in µs; undefined where it does not say. */
    errorOf(player: string): number | undefined {
      const last = steps().get(player)?.at(-1);
      return last !== undefined && now() - last.at < freshMs ? last.errorUs : undefined;
    },
  };
}

export type Watch = ReturnType<typeof watchRooms>;

/** How far apart those are that say how far off they are, in µs; undefined where fewer than two do. */
export function apart(errors: readonly (number | undefined)[]): number | undefined {
  const known = errors.filter((e) => e !== undefined);
  return known.length < 2 ? undefined : Math.max(...known) - Math.min(...known);
}
