import { streamUrl } from "../api/client";
import type { Engine, Item, Listener } from "./engine";
import { sameShape } from "./formats";

/** How long before a track's end the next one is fetched. */
const preloadMs = 20_000;

/** One of the two elements that take turns: while one plays, the other fetches what comes next. */
interface Deck {
  readonly audio: HTMLAudioElement;
  item: Item | undefined;
  /** Where in the track the element's time 0 lies: not 0 for a transcode that begins further in. */
  startMs: number;
}

export interface ElementEngine extends Engine {
  /** Plays an address that has no end and no places, such as a radio station. */
  playLive(url: string): void;
}

/**
 * Plays through media elements: what every browser has, in insecure contexts too, at any speed with the pitch kept, and
 * where no end is in sight. Tracks join as well as two elements can, which is not gapless.
 */
export function elementEngine(on: Listener): ElementEngine {
  const deck = (): Deck => ({ audio: new Audio(), item: undefined, startMs: 0 });
  let live = deck();
  let spare = deck();
  let endless = false; // an endless stream plays
  let next: Item | undefined;
  let wanted = false;
  let volume = 1;
  let speed = 1;
  let ramp: ReturnType<typeof setInterval> | undefined;

  const position = () => live.startMs + live.audio.currentTime * 1000;
  const bufferedMs = () => {
    const { buffered, currentTime } = live.audio;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime && currentTime <= buffered.end(i)) return (buffered.end(i) - currentTime) * 1000;
    }
    return 0;
  };

  for (const d of [live, spare]) {
    const { audio } = d;
    const mine = () => live.audio === audio;
    audio.preload = "auto";
    audio.addEventListener("timeupdate", () => {
      if (!mine() || (d.item === undefined && !endless)) return;
      on.position(position(), bufferedMs());
      if (d.item !== undefined && d.item.track.durationMs - position() < preloadMs) preload();
    });
    audio.addEventListener("playing", () => {
      if (mine()) on.sounding();
    });
    audio.addEventListener("waiting", () => {
      if (mine() && wanted) on.waiting();
    });
    audio.addEventListener("pause", () => {
      // A track that ends pauses, too; and the event of a pause of ours may come when it plays again.
      if (mine() && audio.paused && !audio.ended && wanted && audio.readyState > 1) {
        wanted = false;
        on.interrupted();
      }
    });
    audio.addEventListener("ended", () => {
      if (!mine()) return;
      if (endless) {
        // A station that ends its stream has dropped it.
        on.failed(0, "network");
        return;
      }
      if (next === undefined) {
        on.ended();
        return;
      }
      const item = next;
      next = undefined;
      load(item, 0, wanted);
      on.wentOn(item.key);
    });
    audio.addEventListener("error", () => {
      if (!mine()) {
        spare.item = undefined;
        return;
      }
      if (audio.error === null || (live.item === undefined && !endless)) return;
      on.failed(live.item?.key ?? 0, audio.error.code >= MediaError.MEDIA_ERR_DECODE && navigator.onLine ? "format" : "network");
    });
  }

  function apply(): void {
    // An element cannot amplify, so a gain above 1 is as far as the volume leaves room.
    live.audio.volume = Math.min(1, volume * (live.item?.gain ?? 1));
    live.audio.playbackRate = speed;
    live.audio.preservesPitch = true;
  }

  /** Points a deck at an item. fromMs is only for what cannot be sought in: a transcode that is still being made. */
  function point(d: Deck, item: Item, fromMs = 0): void {
    d.item = item;
    d.startMs = fromMs;
    const { format, maxRate } = item.shape;
    d.audio.src = streamUrl(item.track.id, { format, ...(maxRate > 0 ? { maxRate } : {}), ...(fromMs > 0 ? { offsetMs: Math.round(fromMs) } : {}) });
    d.audio.defaultPlaybackRate = speed; // loading resets the rate to it
  }

  function empty(d: Deck): void {
    if (d.item === undefined && !d.audio.hasAttribute("src")) return;
    d.item = undefined;
    d.startMs = 0;
    d.audio.removeAttribute("src");
    d.audio.load();
  }

  async function begin(): Promise<void> {
    const { audio, item } = live;
    try {
      await audio.play();
    } catch (cause) {
      if (live.audio !== audio || live.item !== item || !(cause instanceof DOMException)) return;
      // AbortError: another track was chosen meanwhile. NotSupportedError comes as an error event, too.
      if (cause.name === "NotAllowedError") {
        wanted = false;
        on.failed(item?.key ?? 0, "gesture");
      }
    }
  }

  function load(item: Item, fromMs: number, play: boolean): void {
    wanted = false; // so that the pause is known as ours
    endless = false;
    live.audio.pause();
    if (spare.item?.key === item.key && sameShape(spare.item.shape, item.shape)) [live, spare] = [spare, live];
    else point(live, item);
    empty(spare);
    next = undefined;
    wanted = play;
    if (fromMs > 0) seek(fromMs);
    else if (live.audio.currentTime > 0) live.audio.currentTime = 0;
    apply();
    if (play) void begin();
  }

  function preload(): void {
    if (next === undefined || next.key === live.item?.key || next.key === spare.item?.key) return;
    point(spare, next);
  }

  function seek(ms: number): void {
    const { audio, item } = live;
    if (item === undefined) return;
    // A transcode that is still being made has no end yet, so the browser cannot go there: have it made from there.
    if (item.shape.format !== "raw" && audio.readyState > 0 && !Number.isFinite(audio.duration)) {
      point(live, item, ms);
      apply();
      if (wanted) void begin();
      return;
    }
    audio.currentTime = Math.max(0, (ms - live.startMs) / 1000);
  }

  return {
    load,
    follow(item) {
      next = item;
      if (spare.item !== undefined && spare.item.key !== item?.key) empty(spare);
    },
    play() {
      wanted = true;
      void begin();
    },
    pause() {
      wanted = false;
      live.audio.pause();
    },
    seek,
    position,
    regain(key, gain) {
      for (const d of [live, spare]) if (d.item?.key === key) d.item = { ...d.item, gain };
      if (next?.key === key) next = { ...next, gain };
      apply();
    },
    setVolume(to, overMs = 0) {
      clearInterval(ramp);
      if (overMs === 0) {
        volume = to;
        apply();
        return;
      }
      const from = volume;
      const began = performance.now();
      ramp = setInterval(() => {
        const part = Math.min(1, (performance.now() - began) / overMs);
        volume = from + (to - from) * part;
        apply();
        if (part === 1) clearInterval(ramp);
      }, 50);
    },
    setSpeed(to) {
      speed = to;
      apply();
    },
    levels: () => undefined,
    unload,
    dispose: unload,
    playLive(url) {
      wanted = false;
      live.audio.pause();
      empty(spare);
      next = undefined;
      live.item = undefined;
      live.startMs = 0;
      endless = true;
      live.audio.src = url;
      apply();
      wanted = true;
      void begin();
    },
  };

  function unload(): void {
    wanted = false;
    next = undefined;
    endless = false;
    clearInterval(ramp);
    live.audio.pause();
    empty(live);
    empty(spare);
  }
}
