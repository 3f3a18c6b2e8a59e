import { createSignal } from "solid-js";
import { createStore } from "solid-js/store";
import { roomPlayUrl } from "../api/client";
import { agentName } from "../ui/agent";
import { type ClockLine, roomTime } from "./clockline";
import type { Format, FromRoom, FromWorker, MemberSettings, ToRoom, ToWorker } from "./messages";
import { heardAt, OutputFilter } from "./outputline";
import roomUrl from "./room.worklet.ts?worker&url";
import { roomRate } from "./steer";

/** This page as a player in a room. */
export interface MemberState {
  /** The room that it plays in, or tries to; "" for none. */
  room: string;
  /** joining: on the way to the first sound or silence in step. lost: the connection is being tried again. */
  status: "none" | "joining" | "in" | "lost";
  /** How far off it plays, in µs; positive is late. Undefined while nothing sounds. */
  errorUs: number | undefined;
  /** By how much its idea of the room's time may be wrong at most, in µs. */
  boundUs: number | undefined;
  /** How much faster than the recording it plays, in parts per million. */
  fasterPpm: number;
  aheadMs: number;
}

const nothing: MemberState = { room: "", status: "none", errorUs: undefined, boundUs: undefined, fasterPpm: 0, aheadMs: 0 };

const [member, set] = createStore<MemberState>({ ...nothing });
export { member };

/** Why this page does not play any more, for a person who did not end it: another tab does. */
const [replaced, setReplaced] = createSignal(false);
export { replaced };

/** Whether this browser, on this address, can play in step: browsers give the audio thread to secure pages only. */
export const able = isSecureContext && typeof AudioWorkletNode !== "undefined" && typeof Worker !== "undefined";

const idKey = "tutti.room-player";

/** By what the server knows this browser from one visit to the next. */
export function playerId(): string {
  let id = localStorage.getItem(idKey);
  if (id === null || !/^web-[0-9a-f-]{36}$/.test(id)) {
    id = `web-${crypto.randomUUID()}`;
    localStorage.setItem(idKey, id);
  }
  return id;
}

/** How often the sound system is asked when what is heard, in ms; while everything is new, more often. */
const pollEvery = 100;
const pollEarly = 25;
const early = 40;
/** How long a volume takes to change, in s: at once it would click. */
const ramp = 0.03;

interface Joined {
  readonly context: AudioContext;
  readonly worker: Worker;
  stop: () => void;
}

let joined: Joined | undefined;
let attempt = 0;

/** Leaves the room. */
export function leave(): void {
  attempt++;
  joined?.stop();
  joined = undefined;
  set({ ...nothing });
}

/**
 * Plays here what a room plays. To be called by a person's gesture, without which browsers let nothing sound. It rejects where
 * this browser cannot.
 */
export async function join(room: string): Promise<void> {
  leave();
  setReplaced(false);
  const mine = attempt;
  set({ ...nothing, room, status: "joining" });
  const context = new AudioContext({ sampleRate: roomRate, latencyHint: "interactive" });
  try {
    const formats = decodable();
    const [, , able] = await Promise.all([context.audioWorklet.addModule(roomUrl), context.resume(), formats]);
    if (mine !== attempt) {
      void context.close();
      return;
    }
    joined = begin(context, room, able);
  } catch (cause) {
    void context.close();
    if (mine === attempt) set({ ...nothing });
    throw cause;
  }
}

/** What this browser can decode, the best first. */
async function decodable(): Promise<readonly Format[]> {
  if (typeof AudioDecoder === "undefined") return ["pcm"];
  // Without a description a browser says whether it knows the codec at all.
  const flac = await AudioDecoder.isConfigSupported({ codec: "flac", sampleRate: roomRate, numberOfChannels: 2, description: emptyFlac() }).catch(() => ({ supported: false }));
  return flac.supported === true ? ["flac", "pcm"] : ["pcm"];
}

/** The header of a FLAC stream of 48 kHz, two channels of 16 bits and blocks of 960 samples (RFC 9639, §8.2). */
function emptyFlac(): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(42);
  header.set([0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 34, 0x03, 0xc0, 0x03, 0xc0, 0, 0, 0, 0, 0, 0, 0x0b, 0xb8, 0x02, 0xf0]);
  return header;
}

function begin(context: AudioContext, room: string, formats: readonly Format[]): Joined {
  const node = new AudioWorkletNode(context, "room", { numberOfInputs: 0, outputChannelCount: [2] });
  const volume = context.createGain();
  volume.gain.value = 0;
  node.connect(volume).connect(context.destination);
  const worker = new Worker(new URL("./room.worker.ts", import.meta.url), { type: "module" });
  const tell = (m: ToWorker, transfer: Transferable[] = []) => worker.postMessage(m, transfer);
  const say = (m: ToRoom, transfer: Transferable[] = []) => node.port.postMessage(m, transfer);
  const { port1, port2 } = new MessageChannel();
  say({ do: "connect", port: port1 }, [port1]);
  tell({ do: "join", url: roomPlayUrl(room, playerId(), agentName(navigator.userAgent)), formats, origin: performance.timeOrigin, port: port2 }, [port2]);

  const output = new OutputFilter();
  let clock: ClockLine | undefined;
  let epoch = 0;
  let latencyMs = 0;
  let polls = 0;
  let timer: ReturnType<typeof setTimeout>;

  /** Tells the audio thread where the sound has to be. */
  const steer = () => {
    const heard = output.line();
    if (heard === undefined || clock === undefined) return;
    const at = context.currentTime;
    const server = roomTime(clock, heardAt(heard, at));
    const later = roomTime(clock, heardAt(heard, at + 1));
    // What a player takes beyond what it knows of itself is made up for by being early.
    say({ do: "line", epoch, frame: Math.round(at * context.sampleRate), server: server + latencyMs, perFrame: (later - server) / context.sampleRate });
  };
  const poll = () => {
    timer = setTimeout(poll, polls++ < early ? pollEarly : pollEvery);
    if (context.state !== "running") {
      output.reset();
      return;
    }
    const { contextTime = 0, performanceTime = 0 } = context.getOutputTimestamp();
    if (output.add(contextTime, performanceTime)) steer();
  };
  poll();

  const wear = (s: MemberSettings) => {
    set("room", s.room);
    latencyMs = s.latencyMs;
    // Half is as loud here as on a Snapcast client, whose curve this is.
    const gain = s.muted ? 0 : (10 ** (s.volume / 100) - 1) / 9;
    const now = context.currentTime;
    volume.gain.cancelScheduledValues(now);
    volume.gain.setValueAtTime(volume.gain.value, now);
    volume.gain.linearRampToValueAtTime(gain, now + ramp);
    steer();
  };

  worker.onmessage = (event: MessageEvent<FromWorker>) => {
    const m = event.data;
    switch (m.is) {
      case "joined":
        epoch = m.epoch;
        clock = undefined;
        break;
      case "clock":
        if (m.epoch !== epoch) return;
        clock = m.line;
        if (member.status !== "in") set("status", "in");
        steer();
        break;
      case "settings":
        wear(m.settings);
        break;
      case "lost":
        set({ status: "lost", errorUs: undefined, boundUs: undefined });
        break;
      case "replaced":
        leave();
        setReplaced(true);
    }
  };
  node.port.onmessage = (event: MessageEvent<FromRoom>) => {
    const m = event.data;
    set({ fasterPpm: m.faster * 1e6, aheadMs: m.aheadMs });
    if (!m.sounding || clock === undefined) {
      set("errorUs", undefined);
      return;
    }
    // How far it is from where it was told to be, and how far the sound system is from where it was believed to be.
    const errorUs = (m.offMs + output.late(1)) * 1000;
    const boundUs = clock.bound * 1000;
    set({ errorUs, boundUs });
    tell({ do: "report", errorUs, boundUs });
  };

  // A phone that locks, or a call, may stop the sound; it goes on when the page is seen.
  const wake = () => {
    if (context.state !== "closed" && context.state !== "running") void context.resume().catch(() => undefined);
  };
  document.addEventListener("visibilitychange", wake);

  return {
    context,
    worker,
    stop() {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
      tell({ do: "leave" });
      say({ do: "end" });
      void context.close();
    },
  };
}
