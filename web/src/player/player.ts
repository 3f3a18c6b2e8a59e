import { createEffect, createRoot, on as when } from "solid-js";
import { createStore } from "solid-js/store";
import { get, send, stationUrl } from "../api/client";
import { session } from "../api/state";
import type { QueueReply, Station, Track } from "../api/wire";
import { t } from "../words";
import { elementEngine } from "./element";
import type { Engine, Item, Listener } from "./engine";
import { type Abilities, type Shape, shapeFor, without } from "./formats";
import { continues, gainDb, gainMode, linear } from "./gain";
import { createPlays } from "./plays";
import { append, empty, type Entry, following, insertAt, insertNext, jump, make, move, neighbour, type Queue, type Repeat, remove, shuffleRest } from "./queue";
import { sound } from "./settings";

export { connectMediaSession } from "./session";

/** What reaches the ears of the current track. */
export interface Delivered {
  /** As the catalogue names it: flac, mp3, opus … */
  readonly codec: string;
  /** Hz. */
  readonly sampleRate: number;
  /** Bits a sample of what is lossless; 0 where there is no such thing. */
  readonly bitDepth: number;
  readonly channels: number;
  /** kbit/s, average; 0 where it is not known. */
  readonly bitrateKbps: number;
  /** Every bit as it is in the library. */
  readonly original: boolean;
  /** Why it is not, for a person; "" where it is. */
  readonly reason: string;
}

/** When the music is to stop by itself: at a time (ms since 1970), after this track, or at the end of the queue. */
export type Sleep = { readonly atMs: number } | "track" | "queue";

export interface PlayerState {
  queue: Queue<Track>;
  /** Somebody wants music: true while it plays and while it is being fetched. */
  playing: boolean;
  /** Music is wanted, but the bytes are not here yet. */
  waiting: boolean;
  positionMs: number;
  durationMs: number;
  /** How far fetched or decoded beyond the position. */
  bufferedMs: number;
  /** 0 to 1. */
  volume: number;
  muted: boolean;
  /** 0.5 to 2, the pitch kept. */
  speed: number;
  repeat: Repeat;
  sleep: Sleep | undefined;
  delivered: Delivered | undefined;
  /** What loudness normalisation does to the current track. */
  gainDb: number;
  /** An internet radio station that plays instead of the queue. */
  station: Station | undefined;
  /** What went wrong with the current track, for a person; "" when nothing did. */
  problem: string;
}

/** A track counts as played after half of it or four minutes, whichever comes first, as scrobblers have it. */
const playedShare = 0.5;
const playedMs = 240_000;

/** Pressing "previous" later than this into a track starts it again. */
const restartMs = 3_000;

/** How long the sleep timer takes to turn the sound down. */
const fadeMs = 10_000;

/** How many changes of the queue can be taken back. */
const undoable = 20;

/** Browsers refuse a request that outlives its page with more than 64 KiB of body (Fetch, §4.6). */
const keepaliveBytes = 60_000;

export const speedRange = { min: 0.5, max: 2 } as const;

const volumeKey = "tutti.volume";
const playerName = "tutti page";

type Graph = typeof import("../sound/graph");

export type Player = ReturnType<typeof createPlayer>;

export function createPlayer() {
  const [state, set] = createStore<PlayerState>({
    queue: { ...empty },
    playing: false,
    waiting: false,
    positionMs: 0,
    durationMs: 0,
    bufferedMs: 0,
    volume: storedVolume(),
    muted: false,
    speed: 1,
    repeat: "off",
    sleep: undefined,
    delivered: undefined,
    gainDb: 0,
    station: undefined,
    problem: "",
  });

  /** The queue as it is, without the store's proxies: thousands of entries are gone through at every step. */
  let queue: Queue<Track> = empty;
  /** Which entry the engine has loaded; 0 for none. */
  let loaded = 0;
  /** How much was heard of an entry, wherever in it, up to which place, and whether its play has been counted. */
  let heard = { key: 0, ms: 0, upToMs: 0, counted: false };
  /** There is something to save that this page did: another may have gone on with the queue since. */
  let touched = false;
  /** The queue as it was taken up from the server; another one is of somebody's making here. */
  let takenUp: Queue<Track> | undefined = empty;
  let saveTimer: ReturnType<typeof setTimeout> | undefined;
  let sleepTimer: ReturnType<typeof setTimeout> | undefined;
  const before: { queue: Queue<Track>; positionMs: number }[] = [];
  const plays = createPlays();
  /** What did not work for an entry: its original, or Web Audio as a whole. */
  const failures = new Map<number, { shape: Shape; element: boolean }>();

  // ---- Engines ----

  /** Each engine is heard only while it is the one in use. */
  const listener = (mine: () => boolean): Listener => ({
    position: (ms, bufferedMs) => mine() && progressed(ms, bufferedMs),
    sounding: () => mine() && sounding(),
    waiting: () => mine() && state.playing && set("waiting", true),
    wentOn: (key) => mine() && wentOn(key),
    ended: () => mine() && ended(),
    interrupted() {
      if (!mine() || !state.playing) return;
      tellPosition();
      set({ playing: false, waiting: false });
      arm();
      report("paused");
    },
    failed: (key, why) => mine() && failed(key, why),
  });

  const element = elementEngine(listener(() => engine === element));
  let engine: Engine = element;
  let graph: Engine | undefined;
  let graphModule: Graph | undefined;
  let graphTried = false;
  const able = typeof AudioContext !== "undefined" && typeof Worker !== "undefined";
  /** On a page that came over plain http browsers give no decoder: there is our own, of FLAC. */
  const plain = typeof AudioDecoder === "undefined";
  let graphLoads: Promise<void> | undefined;
  /** Fetches the Web Audio engine. Where that fails, the elements play, and the next page load tries again. */
  const loadGraph = (): Promise<void> =>
    (graphLoads ??= import("../sound/graph").then(
      (m) => {
        graphModule = m;
        graph = m.graphEngine(listener(() => engine === graph));
        graphTried = true;
      },
      () => undefined,
    ));
  if (able) whenIdle(() => void loadGraph());

  const probe = new Audio();
  const abilities: Abilities = {
    canPlay: (type) => probe.canPlayType(type) !== "",
    canDecode: (codec) => state.speed === 1 && (graphModule?.decodes(codec) ?? false),
    get joinsAsFlac() {
      return plain && graph !== undefined && state.speed === 1;
    },
  };

  /** Which engine plays an entry. */
  function engineFor(e: Entry<Track>): Engine {
    if (graph === undefined || state.speed !== 1 || failures.get(e.key)?.element === true) return element;
    if (!plain) return graph;
    const { format } = shapeOf(e);
    return abilities.canDecode(format === "raw" ? e.track.codec : format) ? graph : element;
  }

  const current = () => state.queue.entries[state.queue.current];
  const here = () => queue.entries[queue.current];

  function item(at: number): Item | undefined {
    const e = queue.entries[at];
    if (e === undefined) return undefined;
    return { key: e.key, track: e.track, shape: shapeOf(e), gain: linear(dbOf(at)) };
  }

  const shapeOf = (e: Entry<Track>): Shape => failures.get(e.key)?.shape ?? shapeFor(e.track, sound.quality, session()?.user.maxBitRate ?? 0, abilities);

  const dbOf = (at: number): number => gainDb(queue.entries[at]?.track.gain, gainMode(queue.entries, at, sound.gain), sound);

  function describe(): void {
    const now = item(queue.current);
    if (now === undefined) {
      set({ delivered: undefined, gainDb: 0 });
      return;
    }
    const { track, shape } = now;
    const whole = shape.format === "raw";
    const lossless = whole ? track.lossless : shape.format === "flac";
    set({
      delivered: {
        codec: whole ? track.codec : shape.format,
        sampleRate: shape.format === "opus" ? 48_000 : (track.sampleRate ?? 0),
        bitDepth: lossless ? (track.bitDepth ?? 0) : 0,
        channels: track.channels ?? 0,
        bitrateKbps: whole ? (track.bitRate ?? 0) : shape.maxRate,
        original: whole,
        reason: shape.why === "" ? "" : t(`sound.why.${shape.why}`, { codec: track.codec, rate: shape.maxRate }),
      },
      gainDb: dbOf(queue.current),
    });
  }

  // ---- The queue ----

  function setQueue(q: Queue<Track>): void {
    // The same entries stay the same objects, so a row on the page stays the same row.
    set("queue", { entries: q.entries, current: q.current });
    queue = q;
    touched = true;
    saveSoon();
    plan();
  }

  function remember(): void {
    if (queue.entries.length === 0) return;
    before.push({ queue, positionMs: position() });
    if (before.length > undoable) before.shift();
  }

  /** Tells the engine what comes next, which may have changed with the queue, the settings and the sleep timer. */
  function plan(): void {
    const e = here();
    if (e === undefined || loaded !== e.key) return;
    const at = state.sleep === "track" ? undefined : following(queue, state.sleep === "queue" && state.repeat === "all" ? "off" : state.repeat);
    const next = at === undefined ? undefined : queue.entries[at];
    // What only the other engine can play is started by itself when this one ends.
    const follows = at !== undefined && next !== undefined && engineFor(next) === engine ? item(at) : undefined;
    const overlap = sound.crossfadeMs > 0 && follows !== undefined && follows.key !== e.key && !continues(e.track, follows.track) ? sound.crossfadeMs : 0;
    engine.follow(follows, overlap);
  }

  const position = () => (loaded !== 0 && loaded === here()?.key ? engine.position() : state.positionMs);

  /** Brings the state up to date with what a hidden page left out. */
  function tellPosition(): void {
    if (state.station === undefined) set("positionMs", position());
  }
  const seen = () => {
    if (!document.hidden) tellPosition();
  };
  document.addEventListener("visibilitychange", seen);

  /** Makes the current entry the one that is loaded, from its beginning or from fromMs. */
  function start(play: boolean, fromMs = 0): void {
    takenUp = undefined;
    leaveStation();
    const e = here();
    const now = item(queue.current);
    if (e === undefined || now === undefined) {
      engine.unload();
      loaded = 0;
      set({ playing: false, waiting: false, positionMs: 0, durationMs: 0, bufferedMs: 0, delivered: undefined, gainDb: 0, problem: "" });
      arm();
      return;
    }
    if (able && !graphTried) {
      // The page was asked for music before it had all of its player; that is a moment away.
      loaded = 0;
      set({ playing: play, waiting: play, positionMs: fromMs, durationMs: e.track.durationMs, problem: "" });
      void loadGraph().then(() => {
        graphTried = true;
        if (here()?.key === e.key && loaded === 0 && state.station === undefined) start(state.playing, state.positionMs);
      });
      return;
    }
    const wanted = engineFor(e);
    if (engine !== wanted) {
      engine.unload();
      engine = wanted;
      engine.setSpeed(state.speed);
    }
    if (fromMs === 0 || heard.key !== e.key) heard = { key: e.key, ms: 0, upToMs: 0, counted: false };
    heard.upToMs = fromMs;
    loaded = e.key;
    set({ playing: play, waiting: play, positionMs: fromMs, durationMs: e.track.durationMs, bufferedMs: 0, problem: "" });
    applyVolume();
    engine.load(now, fromMs, play);
    describe();
    plan();
    arm();
  }

  function progressed(ms: number, bufferedMs: number): void {
    // Nobody sees the seek bar of a hidden page.
    if (!document.hidden) set({ positionMs: state.station === undefined ? ms : 0, bufferedMs });
    const e = here();
    if (state.station !== undefined || e === undefined || loaded !== e.key) return;
    // A last word of the place may come after a pause, which has saved it.
    if (state.playing) touched = true;
    // Only what went by counts, not what was jumped over: a jump sets the place anew.
    heard.ms += Math.max(0, ms - heard.upToMs);
    heard.upToMs = ms;
    if (heard.counted || heard.ms < Math.min(state.durationMs * playedShare, playedMs)) return;
    heard.counted = true;
    plays.add(e.track.id);
  }

  function sounding(): void {
    set({ waiting: false, problem: "" });
    report("playing");
  }

  function wentOn(key: number): void {
    const at = queue.entries.findIndex((e) => e.key === key);
    const e = queue.entries[at];
    if (e === undefined) return;
    heard = { key, ms: 0, upToMs: 0, counted: false };
    loaded = key;
    set({ positionMs: 0, durationMs: e.track.durationMs, problem: "" });
    setQueue(jump(queue, at));
    describe();
    report("playing");
  }

  function ended(): void {
    const slept = state.sleep;
    const at = following(queue, slept === "queue" && state.repeat === "all" ? "off" : state.repeat);
    if (slept === "track" || at === undefined) {
      set("sleep", undefined);
      loaded = 0;
      engine.unload();
      set({ playing: false, waiting: false, positionMs: 0, bufferedMs: 0 });
      if (at !== undefined) setQueue(jump(queue, at));
      set("durationMs", here()?.track.durationMs ?? 0);
      describe();
      arm();
      report("stopped");
      return;
    }
    setQueue(jump(queue, at));
    start(true);
  }

  function failed(key: number, why: "format" | "network" | "gesture"): void {
    if (why === "gesture") {
      set({ playing: false, waiting: false, problem: t("sound.pressAgain") });
      return;
    }
    if (state.station !== undefined) {
      set({ playing: false, waiting: false, problem: t("sound.stationGone", { name: state.station.name }) });
      return;
    }
    const e = here();
    if (e === undefined || key !== e.key || loaded !== key) return;
    const at = engine.position();
    if (why === "format") {
      const was = failures.get(key);
      const shape = was?.shape ?? item(queue.current)?.shape;
      const retry =
        shape?.format === "raw" ? { shape: without(e.track, 0, "browser", abilities), element: false } : engine === graph && shape !== undefined ? { shape: { ...shape, format: "mp3" as const }, element: true } : undefined;
      if (retry !== undefined) {
        failures.set(key, retry);
        start(state.playing, at > restartMs ? at : 0);
        return;
      }
    }
    loaded = 0;
    engine.unload();
    set({ playing: false, waiting: false, positionMs: at });
    // The browser does not tell whether it is the file or the way to it, so the server is asked.
    const explain = (problem: string) => here()?.key === key && loaded !== key && set("problem", problem);
    get("session").then(
      () => explain(t("sound.cannotPlay", { title: e.track.title })),
      () => explain(t("sound.connectionGone")),
    );
  }

  /** Failures of bookkeeping are not worth a word to somebody who listens. */
  function quietly(): void {
    return;
  }

  function report(what: "playing" | "paused" | "stopped"): void {
    const e = here();
    if (e === undefined || state.station !== undefined) return;
    const rate = state.speed === 1 ? {} : { rate: state.speed };
    send("PUT", "now-playing", { track: e.track.id, state: what, positionMs: Math.max(0, Math.round(position())), player: playerName, ...rate }).catch(quietly);
    touched = true;
    if (what !== "playing") void save();
  }

  /** Gathers changes that come quickly one after another; nothing ticks while nothing changes. */
  function saveSoon(): void {
    clearTimeout(saveTimer);
    saveTimer = setTimeout(() => void save(), 1_000);
  }

  /** Settles once the server has answered; that it refused or is away is not the listener's matter. */
  async function save(keepalive = false): Promise<void> {
    clearTimeout(saveTimer);
    if (!touched) return;
    touched = false;
    const tracks = queue.entries.map((e) => e.track.id);
    const size = tracks.reduce((sum, id) => sum + id.length + 3, 0);
    const body = { tracks, current: queue.current, positionMs: Math.max(0, Math.round(position())), player: playerName };
    try {
      await send("PUT", "queue", body, keepalive && size < keepaliveBytes);
    } catch {
      touched = true;
    }
  }

  // ---- Volume, sleep ----

  function applyVolume(overMs = 0): void {
    engine.setVolume(state.muted ? 0 : state.volume, overMs);
  }

  /** Sets the sleep timer's clock, which runs only while something plays: a paused page has no timers. */
  function arm(): void {
    clearTimeout(sleepTimer);
    const { sleep } = state;
    if (typeof sleep !== "object") return;
    const left = sleep.atMs - Date.now();
    if (!state.playing) return;
    if (left > fadeMs) {
      sleepTimer = setTimeout(arm, Math.min(left - fadeMs, 2 ** 31 - 1));
      return;
    }
    engine.setVolume(0, Math.max(0, left));
    sleepTimer = setTimeout(() => {
      set("sleep", undefined);
      if (state.playing) api.toggle();
      applyVolume();
    }, Math.max(0, left));
  }

  function leaveStation(): void {
    if (state.station === undefined) return;
    set("station", undefined);
    element.unload();
  }

  // What is set on this device counts at once: loudness for what plays, quality from the next track on.
  const disposeSettings = createRoot((dispose) => {
    createEffect(
      when(
        () => [sound.gain, sound.preampDb, sound.protectPeaks, sound.crossfadeMs, sound.quality] as const,
        () => {
          const e = here();
          if (e === undefined || loaded !== e.key) return;
          engine.regain(e.key, linear(dbOf(queue.current)));
          set("gainDb", dbOf(queue.current));
          plan();
        },
        { defer: true },
      ),
    );
    return dispose;
  });

  const api = {
    state,
    current,
    /** Plays a list from one of its tracks. */
    play(tracks: readonly Track[], at = 0): void {
      if (tracks.length === 0) return;
      remember();
      setQueue(make(tracks, at));
      start(true);
    },
    playShuffled(tracks: readonly Track[]): void {
      if (tracks.length === 0) return;
      const first = Math.floor(Math.random() * tracks.length);
      const q = make(tracks, 0);
      const chosen = q.entries[first];
      if (chosen === undefined) return;
      remember();
      setQueue(shuffleRest({ entries: [chosen, ...q.entries.toSpliced(first, 1)], current: 0 }, Math.random));
      start(true);
    },
    addNext(tracks: readonly Track[]): void {
      api.insertAt(tracks, queue.current + 1);
    },
    addLast(tracks: readonly Track[]): void {
      const wasEmpty = queue.entries.length === 0;
      setQueue(append(queue, tracks));
      if (wasEmpty) start(false);
    },
    /** Puts tracks before the entry at a place. */
    insertAt(tracks: readonly Track[], at: number): void {
      const wasEmpty = queue.entries.length === 0;
      setQueue(at === queue.current + 1 ? insertNext(queue, tracks) : insertAt(queue, tracks, at));
      if (wasEmpty) start(false);
    },
    remove(key: number): void {
      const was = here()?.key;
      remember();
      setQueue(remove(queue, key));
      if (was === key) start(state.playing);
    },
    /** Moves an entry to another place. */
    move(key: number, to: number): void {
      setQueue(move(queue, queue.entries.findIndex((e) => e.key === key), Math.min(Math.max(0, to), queue.entries.length - 1)));
    },
    clear(): void {
      remember();
      setQueue(empty);
      start(false);
    },
    /** Takes back the last time that something was removed from the queue, or all of it. What plays goes on if it is in both. */
    undo(): void {
      const last = before.pop();
      if (last === undefined) return;
      const was = here()?.key;
      const { queue: q, positionMs } = last;
      const now = q.entries.findIndex((e) => e.key === was);
      setQueue(now >= 0 ? { ...q, current: now } : q);
      if (now < 0) start(state.playing, positionMs);
    },
    shuffle(): void {
      setQueue(shuffleRest(queue, Math.random));
    },
    jump(at: number): void {
      setQueue(jump(queue, at));
      start(true);
    },
    toggle(): void {
      const { station } = state;
      if (station !== undefined) {
        if (!state.playing) api.playStation(station);
        else {
          set({ playing: false, waiting: false });
          element.unload(); // a live stream does not wait
        }
        return;
      }
      const e = here();
      if (e === undefined) return;
      if (state.playing) {
        tellPosition();
        set({ playing: false, waiting: false });
        engine.pause();
        arm();
        report("paused");
        return;
      }
      if (loaded !== e.key) {
        start(true, state.positionMs);
        return;
      }
      set({ playing: true, waiting: true, problem: "" });
      engine.play();
      arm();
    },
    next(): void {
      const at = neighbour(queue, 1, state.repeat);
      if (at === undefined || state.station !== undefined) return;
      setQueue(jump(queue, at));
      start(state.playing);
    },
    previous(): void {
      if (state.station !== undefined) return;
      const at = neighbour(queue, -1, state.repeat);
      if (at === undefined || position() > restartMs) {
        api.seek(0);
        return;
      }
      setQueue(jump(queue, at));
      start(state.playing);
    },
    seek(ms: number): void {
      const e = here();
      if (e === undefined || state.station !== undefined) return;
      const to = Math.min(Math.max(0, ms), state.durationMs);
      takenUp = undefined;
      set("positionMs", to);
      touched = true;
      heard.upToMs = to;
      if (loaded === e.key) engine.seek(to);
      saveSoon();
    },
    setVolume(v: number): void {
      set({ volume: Math.min(1, Math.max(0, v)), muted: false });
      applyVolume();
      localStorage.setItem(volumeKey, String(state.volume));
    },
    toggleMute(): void {
      set("muted", !state.muted);
      applyVolume();
    },
    /** 0.5 to 2, the pitch kept. */
    setSpeed(x: number): void {
      const to = Math.min(speedRange.max, Math.max(speedRange.min, x));
      if (!Number.isFinite(x) || to === state.speed) return;
      const at = position();
      set("speed", to);
      const e = here();
      if (e !== undefined && loaded === e.key && engineFor(e) !== engine) start(state.playing, at);
      else engine.setSpeed(to);
    },
    cycleRepeat(): void {
      set("repeat", state.repeat === "off" ? "all" : state.repeat === "all" ? "one" : "off");
      plan();
    },
    /** Stops the music after so many minutes, this track or the queue; undefined takes that back. */
    sleepAfter(v: number | "track" | "queue" | undefined): void {
      set("sleep", undefined); // a store merges objects; this one is replaced
      set("sleep", typeof v === "number" ? { atMs: Date.now() + v * 60_000 } : v);
      applyVolume(); // a fade that had begun
      arm();
      plan();
    },
    /** Plays an internet radio station instead of the queue, which stays where it is. */
    playStation(station: Station): void {
      const at = position();
      engine.unload();
      loaded = 0;
      if (state.station === undefined) set("positionMs", at);
      engine = element;
      set("station", undefined);
      set({ station, playing: true, waiting: true, problem: "", delivered: undefined, gainDb: 0 });
      applyVolume();
      element.playLive(stationUrl(station.id));
      arm();
    },
    levels: (): Uint8Array | undefined => (state.playing ? engine.levels() : undefined),
    /**
     * Takes up, paused, what was played last, here or on another player; again whenever another player went on, until
     * something is done here: from then on this player's queue is its own.
     */
    async restore(): Promise<void> {
      if (queue !== takenUp) return;
      const saved = await get<QueueReply>("queue");
      if (queue !== takenUp || state.playing || state.station !== undefined || saved.tracks.length === 0) return;
      takenUp = queue = make(saved.tracks, saved.current);
      set("queue", { ...queue });
      set({ positionMs: saved.positionMs, durationMs: here()?.track.durationMs ?? 0 });
      describe();
    },
    /** Stops and forgets, as when signing out. The saved queue stays. */
    stop(): void {
      clearTimeout(saveTimer);
      document.removeEventListener("visibilitychange", seen);
      disposeSettings();
      plays.dispose();
      before.length = 0;
      queue = empty;
      set("queue", { ...empty });
      set("sleep", undefined);
      start(false);
      graph?.dispose();
      graph = undefined;
      engine = element;
    },
    save,
    /** Where the music is, in ms: state.positionMs stands still while nobody sees the page. */
    position,
  };

  return api;
}

function storedVolume(): number {
  const v = Number(localStorage.getItem(volumeKey) ?? "1");
  return v >= 0 && v <= 1 ? v : 1;
}

/** Calls when the page has nothing better to do. */
function whenIdle(f: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(f, { timeout: 2_000 });
  else setTimeout(f, 500);
}
