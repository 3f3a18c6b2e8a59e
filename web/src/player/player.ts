import { createStore } from "solid-js/store";
import { coverUrl, get, send, streamUrl } from "../api/client";
import type { QueueReply, Track } from "../api/wire";
import { formatFor } from "./formats";
import { append, empty, following, insertNext, jump, make, neighbour, type Queue, type Repeat, remove, shuffleRest } from "./queue";

export interface PlayerState {
  queue: Queue<Track>;
  /** Somebody wants music: true while it plays and while it is being fetched. */
  playing: boolean;
  /** Music is wanted, but the bytes are not here yet. */
  waiting: boolean;
  positionMs: number;
  durationMs: number;
  /** 0 to 1. */
  volume: number;
  muted: boolean;
  repeat: Repeat;
  /** What went wrong with the current track, for a person; "" when nothing did. */
  problem: string;
}

/** How long before a track's end the next one is fetched. */
const preloadMs = 20_000;

/** A track counts as played after half of it or four minutes, whichever comes first, as scrobblers have it. */
const playedShare = 0.5;
const playedMs = 240_000;

/** Pressing "previous" later than this into a track starts it again. */
const restartMs = 3_000;

const volumeKey = "tutti.volume";
const playerName = "tutti page";

/** One of the two elements that take turns: while one plays, the other fetches what comes next. */
interface Deck {
  readonly audio: HTMLAudioElement;
  /** The queue entry that is loaded, or 0. */
  key: number;
  /** Where in the track the element's time 0 lies: not 0 for a transcode that begins further in. */
  startMs: number;
  format: "raw" | "flac" | "mp3";
}

export type Player = ReturnType<typeof createPlayer>;

export function createPlayer() {
  const [state, set] = createStore<PlayerState>({
    queue: { ...empty },
    playing: false,
    waiting: false,
    positionMs: 0,
    durationMs: 0,
    volume: storedVolume(),
    muted: false,
    repeat: "off",
    problem: "",
  });

  const deck = (): Deck => ({ audio: new Audio(), key: 0, startMs: 0, format: "raw" });
  let live = deck();
  let spare = deck();
  const canPlay = (type: string) => live.audio.canPlayType(type) !== "";
  /** The queue entry whose play has been counted. */
  let counted = 0;
  let saveTimer: ReturnType<typeof setTimeout> | undefined;

  const current = () => state.queue.entries[state.queue.current];
  const setQueue = (q: Queue<Track>) => {
    // Entries stay the same objects, so a row on the page stays the same row.
    set("queue", { entries: q.entries, current: q.current });
    saveSoon();
  };

  for (const d of [live, spare]) {
    const { audio } = d;
    const mine = () => live.audio === audio;
    audio.preload = "auto";
    audio.addEventListener("timeupdate", () => {
      if (mine()) progressed();
    });
    audio.addEventListener("playing", () => {
      if (!mine()) return;
      set({ waiting: false, problem: "" });
      report("playing");
    });
    audio.addEventListener("waiting", () => {
      if (mine() && state.playing) set("waiting", true);
    });
    audio.addEventListener("pause", () => {
      // The system may pause us: a call, another app, unplugged headphones. A track that ends pauses too.
      if (mine() && !audio.ended && state.playing && audio.readyState > 1) {
        set({ playing: false, waiting: false });
        report("paused");
      }
    });
    audio.addEventListener("ended", () => {
      if (mine()) finished();
    });
    audio.addEventListener("error", () => {
      if (mine()) failed();
      else spare.key = 0;
    });
  }

  function applyVolume(): void {
    live.audio.volume = state.volume;
    live.audio.muted = state.muted;
  }

  /** Points a deck at an entry. fromMs is only for what cannot be sought in: a transcode that is still being made. */
  function load(d: Deck, key: number, track: Track, format: Deck["format"], fromMs = 0): void {
    d.key = key;
    d.format = format;
    d.startMs = fromMs;
    d.audio.src = streamUrl(track.id, { format, ...(fromMs > 0 ? { offsetMs: Math.round(fromMs) } : {}) });
  }

  function unload(d: Deck): void {
    if (d.key === 0) return;
    d.key = 0;
    d.audio.removeAttribute("src");
    d.audio.load();
  }

  /** Makes the current entry the one on the live deck, from its beginning or from fromMs. */
  function start(play: boolean, fromMs = 0): void {
    const e = current();
    live.audio.pause();
    if (e === undefined) {
      unload(live);
      unload(spare);
      set({ playing: false, waiting: false, positionMs: 0, durationMs: 0, problem: "" });
      return;
    }
    if (spare.key === e.key) {
      [live, spare] = [spare, live];
    } else {
      load(live, e.key, e.track, formatFor(e.track, canPlay));
    }
    unload(spare);
    if (fromMs > 0) seekDeck(fromMs);
    else if (live.audio.currentTime > 0) live.audio.currentTime = 0;
    counted = 0;
    set({ playing: play, waiting: play, positionMs: fromMs, durationMs: e.track.durationMs, problem: "" });
    applyVolume();
    if (play) void begin();
  }

  async function begin(): Promise<void> {
    const { audio } = live;
    try {
      await audio.play();
    } catch (cause) {
      if (live.audio !== audio || !(cause instanceof DOMException)) return;
      // AbortError: another track was chosen meanwhile. NotSupportedError comes as an error event, too.
      if (cause.name === "NotAllowedError") set({ playing: false, waiting: false, problem: "The browser wants you to press play once more." });
    }
  }

  function progressed(): void {
    // Nobody sees the seek bar of a hidden page.
    if (!document.hidden) set("positionMs", position());
    countPlay();
    if (nearEnd()) preload();
  }

  const position = () => live.startMs + live.audio.currentTime * 1000;
  const nearEnd = () => state.durationMs - position() < preloadMs;

  function preload(): void {
    const at = following(state.queue, state.repeat);
    const next = at === undefined ? undefined : state.queue.entries[at];
    if (next === undefined || next.key === live.key || next.key === spare.key) return;
    load(spare, next.key, next.track, formatFor(next.track, canPlay));
  }

  function countPlay(): void {
    const e = current();
    if (e === undefined || counted === e.key || live.key !== e.key) return;
    if (position() < Math.min(state.durationMs * playedShare, playedMs)) return;
    counted = e.key;
    send("POST", "plays", { plays: [{ track: e.track.id }] }).catch(quietly);
  }

  function finished(): void {
    const at = following(state.queue, state.repeat);
    if (at === undefined) {
      set({ playing: false, waiting: false, positionMs: 0 });
      live.audio.currentTime = 0;
      report("stopped");
      return;
    }
    setQueue(jump(state.queue, at));
    start(true);
  }

  function failed(): void {
    const e = current();
    if (e === undefined || live.key !== e.key || live.audio.error === null) return;
    // The browser was too sure of itself: try once more in a format that every browser plays.
    if (live.format === "raw" && live.audio.error.code >= MediaError.MEDIA_ERR_DECODE && navigator.onLine) {
      load(live, e.key, e.track, "mp3", state.positionMs > restartMs ? state.positionMs : 0);
      applyVolume();
      if (state.playing) void begin();
      return;
    }
    set({ playing: false, waiting: false });
    live.key = 0;
    // The browser does not tell whether it is the file or the way to it, so the server is asked.
    const explain = (problem: string) => current()?.key === e.key && live.key !== e.key && set("problem", problem);
    get("session").then(
      () => explain(`“${e.track.title}” could not be played.`),
      () => explain("The connection is gone."),
    );
  }

  function seekDeck(ms: number): void {
    const { audio } = live;
    const e = current();
    if (e === undefined) return;
    const seconds = (ms - live.startMs) / 1000;
    // A transcode that is still being made has no end yet, so the browser cannot go there: have it made from there.
    if (live.format !== "raw" && audio.readyState > 0 && !Number.isFinite(audio.duration)) {
      load(live, e.key, e.track, live.format, ms);
      applyVolume();
      if (state.playing) void begin();
      return;
    }
    audio.currentTime = Math.max(0, seconds);
  }

  /** Failures of bookkeeping are not worth a word to somebody who listens. */
  function quietly(): void {
    return;
  }

  function report(what: "playing" | "paused" | "stopped"): void {
    const e = current();
    if (e === undefined) return;
    send("PUT", "now-playing", { track: e.track.id, state: what, positionMs: Math.max(0, Math.round(position())), player: playerName }).catch(quietly);
    if (what !== "playing") save();
  }

  /** Gathers changes that come quickly one after another; nothing ticks while nothing changes. */
  function saveSoon(): void {
    clearTimeout(saveTimer);
    saveTimer = setTimeout(save, 1_000);
  }

  function save(keepalive = false): void {
    clearTimeout(saveTimer);
    const q = state.queue;
    const body = {
      tracks: q.entries.map((e) => e.track.id),
      current: q.current,
      positionMs: Math.max(0, Math.round(live.key === current()?.key ? position() : state.positionMs)),
      player: playerName,
    };
    send("PUT", "queue", body, keepalive).catch(quietly);
  }

  const api = {
    state,
    current,
    /** Plays a list from one of its tracks. */
    play(tracks: readonly Track[], at = 0): void {
      setQueue(make(tracks, at));
      start(true);
    },
    playShuffled(tracks: readonly Track[]): void {
      if (tracks.length === 0) return;
      const first = Math.floor(Math.random() * tracks.length);
      const q = make(tracks, 0);
      const chosen = q.entries[first];
      if (chosen === undefined) return;
      setQueue(shuffleRest({ entries: [chosen, ...q.entries.toSpliced(first, 1)], current: 0 }, Math.random));
      start(true);
    },
    addNext(tracks: readonly Track[]): void {
      const wasEmpty = state.queue.entries.length === 0;
      setQueue(insertNext(state.queue, tracks));
      if (wasEmpty) start(false);
      else if (spare.key !== 0) unload(spare);
    },
    addLast(tracks: readonly Track[]): void {
      const wasEmpty = state.queue.entries.length === 0;
      setQueue(append(state.queue, tracks));
      if (wasEmpty) start(false);
    },
    remove(key: number): void {
      const was = current()?.key;
      setQueue(remove(state.queue, key));
      if (was === key) start(state.playing);
      else if (spare.key === key) unload(spare);
    },
    clear(): void {
      setQueue(empty);
      start(false);
    },
    shuffle(): void {
      setQueue(shuffleRest(state.queue, Math.random));
      unload(spare);
    },
    jump(at: number): void {
      setQueue(jump(state.queue, at));
      start(true);
    },
    toggle(): void {
      if (current() === undefined) return;
      if (state.playing) {
        set({ playing: false, waiting: false });
        live.audio.pause();
        report("paused");
        return;
      }
      if (live.key !== current()?.key) {
        start(true, state.positionMs);
        return;
      }
      set({ playing: true, waiting: true });
      void begin();
    },
    next(): void {
      const at = neighbour(state.queue, 1, state.repeat);
      if (at === undefined) return;
      setQueue(jump(state.queue, at));
      start(state.playing);
    },
    previous(): void {
      const at = neighbour(state.queue, -1, state.repeat);
      if (at === undefined || state.positionMs > restartMs) {
        api.seek(0);
        return;
      }
      setQueue(jump(state.queue, at));
      start(state.playing);
    },
    seek(ms: number): void {
      if (current() === undefined) return;
      const to = Math.min(Math.max(0, ms), state.durationMs);
      set("positionMs", to);
      if (live.key === current()?.key) seekDeck(to);
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
    cycleRepeat(): void {
      set("repeat", state.repeat === "off" ? "all" : state.repeat === "all" ? "one" : "off");
    },
    /** Takes up, paused, what was played last, here or on another player. */
    async restore(): Promise<void> {
      const saved = await get<QueueReply>("queue");
      if (state.queue.entries.length > 0 || saved.tracks.length === 0) return;
      set("queue", { ...make(saved.tracks, saved.current) });
      const e = current();
      set({ positionMs: saved.positionMs, durationMs: e?.track.durationMs ?? 0 });
    },
    /** Stops and forgets, as when signing out. The saved queue stays. */
    stop(): void {
      live.audio.pause();
      clearTimeout(saveTimer);
      set("queue", { ...empty });
      start(false);
    },
    save,
  };

  return api;
}

function storedVolume(): number {
  const v = Number(localStorage.getItem(volumeKey) ?? "1");
  return v >= 0 && v <= 1 ? v : 1;
}

/** Tells the system what plays, and lets its media keys and lock screen work the player. */
export function connectMediaSession(player: Player): { update: () => void; position: () => void } {
  const session = "mediaSession" in navigator ? navigator.mediaSession : undefined;
  const actions: [MediaSessionAction, MediaSessionActionHandler][] = [
    ["play", () => player.toggle()],
    ["pause", () => player.toggle()],
    ["nexttrack", () => player.next()],
    ["previoustrack", () => player.previous()],
    ["seekto", (d) => d.seekTime !== undefined && player.seek(d.seekTime * 1000)],
    ["seekforward", (d) => player.seek(player.state.positionMs + (d.seekOffset ?? 10) * 1000)],
    ["seekbackward", (d) => player.seek(player.state.positionMs - (d.seekOffset ?? 10) * 1000)],
  ];
  for (const [action, handler] of actions) {
    try {
      session?.setActionHandler(action, handler);
    } catch {
      // A browser may not know every action; the others still work.
    }
  }
  return {
    update() {
      if (session === undefined) return;
      const t = player.current()?.track;
      session.playbackState = t === undefined ? "none" : player.state.playing ? "playing" : "paused";
      session.metadata =
        t === undefined
          ? null
          : new MediaMetadata({
              title: t.title,
              artist: t.artist,
              album: t.album ?? "",
              artwork: t.hasCover ? [256, 512].map((n) => ({ src: coverUrl(t.albumId ?? t.id, n), sizes: `${n}x${n}` })) : [],
            });
    },
    position() {
      const { positionMs, durationMs } = player.state;
      if (session === undefined || durationMs <= 0) return;
      session.setPositionState({ duration: durationMs / 1000, position: Math.min(positionMs, durationMs) / 1000, playbackRate: 1 });
    },
  };
}
