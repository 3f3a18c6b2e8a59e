import { streamUrl } from "../api/client";
import type { Engine, Item, Listener } from "../player/engine";
import { sameShape } from "../player/formats";
import type { FromMixer, FromWorker, ToWorker, Wanted } from "./messages";
import { Output } from "./output";
import { makeSilence } from "./silence";

/**
 * What can be decoded, by our catalogue's names: with WebCodecs what the browsers that have it decode (one that lacks a
 * codec says so when it is tried), and without, which is so on a page that came over plain http, what is our own.
 */
const codecs = new Set(typeof AudioDecoder === "undefined" ? ["flac", "pcm"] : ["flac", "mp3", "opus", "vorbis", "aac", "pcm"]);
export const decodes = (codec: string): boolean => codecs.has(codec);

/** What browsers must be able to make an AudioContext of (Web Audio API, §1.2.1), and what a file is taken for that does not say. */
const rates = { min: 8_000, max: 96_000, usual: 44_100 } as const;

/** How often the position is told while somebody sees it, and while nobody does, in seconds. */
const seenEvery = 0.2;
const hiddenEvery = 2;

interface Playing {
  item: Item;
  readonly id: number;
  readonly output: Output;
}

/** Plays through Web Audio: a worker decodes, the audio thread joins, and the page only says what. */
export function graphEngine(on: Listener): Engine {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const tell = (m: ToWorker, transfer: Transferable[] = []) => worker.postMessage(m, transfer);
  const silence = makeSilence(() => {
    if (!wanted) return;
    pause();
    on.interrupted();
  });
  // iOS lets a page's sound go on when the screen locks and the switch is on mute only for what says it is playback
  // (Audio Session API).
  const { audioSession } = navigator as { audioSession?: { type: string } };
  if (audioSession !== undefined) audioSession.type = "playback";

  let last = 0;
  let lastOutput = 0;
  let now: Playing | undefined;
  let next: (Playing & { overlapMs: number; failed?: "format" | "network" }) | undefined;
  let wanted = false;
  let volume = 1;
  /** Where the mixer said it was, and when by the context's clock. */
  let told = { ms: 0, at: 0, bufferedMs: 0 };
  /** What files turned out to be that the catalogue has other words for, by track. */
  const shapes = new Map<string, { sampleRate: number; channels: number }>();

  worker.onmessage = (event: MessageEvent<FromWorker>) => heard(event.data);
  /** The worker could not be had, or died: nothing can be decoded any more. */
  let workerBroken = false;
  worker.onerror = () => {
    workerBroken = true;
    if (now !== undefined) on.failed(now.item.key, "format");
  };
  const seen = () => now?.output.say({ do: "every", seconds: every() });
  document.addEventListener("visibilitychange", seen);
  const every = () => (document.hidden ? hiddenEvery : seenEvery);

  function shapeOf(item: Item): { sampleRate: number; channels: number } {
    const { track, shape } = item;
    const known = shapes.get(track.id + shape.format);
    const opus = shape.format === "opus" || (shape.format === "raw" && track.codec === "opus");
    // Opus always decodes to 48 kHz (RFC 6716, §2).
    const sampleRate = known?.sampleRate ?? (opus ? 48_000 : (track.sampleRate ?? rates.usual));
    const channels = known?.channels ?? track.channels ?? 2;
    return { sampleRate: Math.min(rates.max * 4, Math.max(rates.min, sampleRate)), channels: Math.max(2, channels) };
  }

  /** An output for an item: the one that is there where it fits. Undefined where the browser makes none of that rate, or no more of them. */
  function outputFor(item: Item, there: Output | undefined): Output | undefined {
    const { sampleRate, channels } = shapeOf(item);
    const fits = (o: Output) => !o.broken && o.sampleRate === sampleRate && o.channels === channels;
    if (there !== undefined && fits(there)) return there;
    const ready = warm;
    warm = undefined;
    if (ready !== undefined && fits(ready)) {
      ready.setVolume(volume, 0);
      return ready;
    }
    if (ready !== undefined) close(ready);
    return makeOutput(sampleRate, channels);
  }

  function makeOutput(sampleRate: number, channels: number): Output | undefined {
    const number = ++lastOutput;
    let output: Output;
    try {
      output = new Output(
        number,
        sampleRate,
        channels,
        (m) => mixed(output, m),
        () => {
          if (now?.output === output) on.failed(now.item.key, "format");
          else if (next?.output === output) next.failed = "format";
        },
      );
    } catch {
      // The constructor of a context throws where its rate is not supported (Web Audio API, §1.2.1).
      return undefined;
    }
    const { port1, port2 } = new MessageChannel();
    output.say({ do: "connect", port: port1 }, [port1]);
    output.say({ do: "every", seconds: every() });
    output.setVolume(volume, 0);
    tell({ do: "output", output: number, port: port2 }, [port2]);
    return output;
  }

  /**
   * A context and its worklet take a while to make, and a browser lets a page have one that may sound only after a
   * gesture: so the first gesture makes one of the usual shape, asleep, for the press of "play" that follows.
   */
  let warm: Output | undefined;
  const gestures = ["pointerdown", "keydown"] as const;
  function warmUp(): void {
    for (const g of gestures) removeEventListener(g, warmUp, true);
    if (now !== undefined || warm !== undefined) return;
    warm = makeOutput(rates.usual, 2);
    warm?.pause();
  }
  for (const g of gestures) addEventListener(g, warmUp, true);

  function close(output: Output): void {
    tell({ do: "close", output: output.number });
    output.close();
  }

  function want(p: Playing, fromMs: number): Wanted {
    const { track, shape } = p.item;
    const query = { format: shape.format, ...(shape.maxRate > 0 ? { maxRate: shape.maxRate } : {}) };
    const url = new URL(streamUrl(track.id, query), location.href).href;
    // An original cannot begin in the middle; where the server has to make it all the same (a piece of a larger file), FLAC can.
    const made = shape.format === "raw" ? { ...query, format: "flac" } : query;
    const offsetUrl = `${new URL(streamUrl(track.id, made), location.href).href}&offsetMs=`;
    return { id: p.id, output: p.output.number, sampleRate: p.output.sampleRate, channels: p.output.channels, url, offsetUrl, fromMs };
  }

  function load(item: Item, fromMs: number, play: boolean): void {
    const before = now;
    const ready = next;
    wanted = play;
    if (ready?.item.key === item.key && sameShape(ready.item.shape, item.shape) && ready.failed === undefined && fromMs === 0 && before !== undefined && ready.output === before.output && !ready.output.broken && !workerBroken) {
      // It was to follow anyway, so its beginning is here.
      now = { item, id: ready.id, output: ready.output };
      next = undefined;
      tell({ do: "heard", id: now.id });
    } else {
      if (next !== undefined && next.output !== before?.output) close(next.output);
      next = undefined;
      const output = workerBroken ? undefined : outputFor(item, before?.output);
      if (output === undefined) {
        unload();
        told = { ms: fromMs, at: 0, bufferedMs: 0 };
        // The caller has not done yet what it does once something is loaded.
        queueMicrotask(() => on.failed(item.key, "format"));
        return;
      }
      if (before !== undefined && before.output !== output) close(before.output);
      now = { item, id: ++last, output };
      tell({ do: "load", wanted: want(now, fromMs), from: before?.item.track.id === item.track.id ? before.id : 0 });
    }
    const { output, id } = now;
    told = { ms: fromMs, at: output.context.currentTime, bufferedMs: 0 };
    output.say({ do: "cut", id, frame: Math.round((fromMs * output.sampleRate) / 1000), gain: item.gain });
    if (play) resume();
    else output.pause();
  }

  function resume(): void {
    const p = now;
    if (p === undefined) return;
    if (!wanted) told = { ...told, at: p.output.context.currentTime };
    wanted = true;
    silence.play();
    void p.output.play().then((may) => {
      if (may || now !== p || !wanted) return;
      wanted = false;
      silence.pause();
      on.failed(p.item.key, "gesture");
    });
  }

  function pause(): void {
    // The mixer tells where it is too seldom to wait for that.
    const ms = reached();
    if (now !== undefined) told = { ms, at: now.output.context.currentTime, bufferedMs: Math.max(0, told.bufferedMs - (ms - told.ms)) };
    wanted = false;
    silence.pause();
    now?.output.pause();
  }

  function follow(item: Item | undefined, overlapMs: number): void {
    if (now === undefined) return;
    if (next !== undefined && item !== undefined && next.item.key === item.key && sameShape(next.item.shape, item.shape)) {
      next.item = item;
      next.overlapMs = overlapMs;
      if (next.failed === undefined && next.output === now.output) say(next);
      return;
    }
    if (next === undefined && item === undefined) return;
    if (next !== undefined && next.output !== now.output) close(next.output);
    next = undefined;
    if (item === undefined) {
      tell({ do: "follow", wanted: undefined });
      now.output.say({ do: "follow", id: 0, overlapFrames: 0, gain: 1 });
      return;
    }
    const output = outputFor(item, now.output);
    if (output === undefined) {
      // It fails when it is its turn.
      next = { item, id: ++last, output: now.output, overlapMs, failed: "format" };
      tell({ do: "follow", wanted: undefined });
      now.output.say({ do: "follow", id: 0, overlapFrames: 0, gain: 1 });
      return;
    }
    next = { item, id: ++last, output, overlapMs };
    tell({ do: "follow", wanted: want(next, 0) });
    if (next.output === now.output) say(next);
    else {
      now.output.say({ do: "follow", id: 0, overlapFrames: 0, gain: 1 });
      next.output.say({ do: "cut", id: next.id, frame: 0, gain: item.gain });
    }
  }

  const say = (p: NonNullable<typeof next>) => p.output.say({ do: "follow", id: p.id, overlapFrames: Math.round((p.overlapMs * p.output.sampleRate) / 1000), gain: p.item.gain });

  function mixed(output: Output, m: FromMixer): void {
    if (now?.output !== output) return;
    switch (m.is) {
      case "at":
        if (m.id !== now.id) return;
        told = { ms: (m.frame * 1000) / output.sampleRate, at: m.time, bufferedMs: (m.buffered * 1000) / output.sampleRate };
        on.position(position(), told.bufferedMs);
        return;
      case "flows":
        if (wanted) on.sounding();
        return;
      case "starved":
        if (wanted) on.waiting();
        return;
      case "began":
        if (m.id === next?.id) wentOn();
        else if (m.id > now.id) {
          // It had gone on when it was told that something else follows, or nothing.
          if (next === undefined) end();
          else {
            cutToNext(output);
            wentOn();
          }
        }
        return;
      case "ended":
        if (m.id !== now.id) return;
        if (next === undefined) {
          end();
          return;
        }
        // What follows has a rate of its own, or could not be had, or the word of it came too late.
        cutToNext(output);
        wentOn();
    }
  }

  function end(): void {
    pause();
    on.ended();
  }

  function cutToNext(output: Output): void {
    if (next?.output === output && next.failed === undefined) output.say({ do: "cut", id: next.id, frame: 0, gain: next.item.gain });
  }

  function wentOn(): void {
    const p = next;
    const before = now;
    if (p === undefined || before === undefined) return;
    now = { item: p.item, id: p.id, output: p.output };
    next = undefined;
    told = { ms: 0, at: p.output.context.currentTime, bufferedMs: 0 };
    tell({ do: "heard", id: p.id });
    if (before.output !== p.output) close(before.output);
    on.wentOn(p.item.key);
    if (p.failed !== undefined) on.failed(p.item.key, p.failed);
    else if (before.output !== p.output && wanted) resume();
  }

  function heard(m: FromWorker): void {
    if (m.is === "failed") {
      if (m.id === now?.id) on.failed(now.item.key, m.why);
      else if (m.id === next?.id) {
        next.failed = m.why;
        if (next.output === now?.output) now.output.say({ do: "follow", id: 0, overlapFrames: 0, gain: 1 });
      }
      return;
    }
    const p = m.id === now?.id ? now : m.id === next?.id ? next : undefined;
    if (p === undefined) return;
    shapes.set(p.item.track.id + p.item.shape.format, { sampleRate: m.sampleRate, channels: m.channels });
    if (p === now) reload(position());
    else if (next !== undefined) {
      const { item, overlapMs } = next;
      follow(undefined, 0);
      follow(item, overlapMs);
    }
  }

  /** Loads what plays once more, from another place, and what follows it. */
  function reload(fromMs: number): void {
    if (now === undefined) return;
    const follows = next;
    load(now.item, fromMs, wanted);
    if (follows !== undefined) follow(follows.item, follows.overlapMs);
  }

  /** How far the mixer has come, in ms. */
  function reached(): number {
    if (now === undefined) return told.ms;
    const { context } = now.output;
    const since = wanted && context.state === "running" ? (context.currentTime - told.at) * 1000 : 0;
    // Between two reports it goes on; what was decoded at the report is as far as it can have come.
    return told.ms + Math.min(Math.max(0, since), told.bufferedMs);
  }

  /** How far the ear has come, in ms. */
  const position = (): number => Math.max(0, reached() - (wanted && now !== undefined ? now.output.latency * 1000 : 0));

  return {
    load,
    follow,
    play: resume,
    pause,
    seek: reload,
    position,
    regain(key, gain) {
      for (const p of [now, next]) {
        if (p?.item.key !== key) continue;
        p.item = { ...p.item, gain };
        p.output.say({ do: "regain", id: p.id, gain });
      }
    },
    setVolume(to, overMs = 0) {
      volume = to;
      now?.output.setVolume(to, overMs);
      if (next !== undefined && next.output !== now?.output) next.output.setVolume(to, overMs);
    },
    // Other speeds are the elements', which keep the pitch.
    setSpeed: () => undefined,
    levels: () => (now === undefined ? undefined : now.output.levels()),
    unload,
    dispose() {
      unload();
      if (warm !== undefined) close(warm);
      for (const g of gestures) removeEventListener(g, warmUp, true);
      document.removeEventListener("visibilitychange", seen);
      silence.dispose();
      worker.terminate();
    },
  };

  function unload(): void {
    wanted = false;
    silence.pause();
    tell({ do: "stop" });
    if (next !== undefined && next.output !== now?.output) close(next.output);
    if (now !== undefined) close(now.output);
    now = next = undefined;
    told = { ms: 0, at: 0, bufferedMs: 0 };
  }
}
