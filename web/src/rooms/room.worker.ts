import { planesOf, planesOfPcm } from "../sound/pcm";
import { ClockFilter } from "./clockline";
import type { FromWorker, MemberSettings, Sound, ToWorker } from "./messages";
import { parse, protocol, question } from "./wire";

/**
 * Hears a room: holds the connection, learns the room's clock, decodes, and hands samples to the audio thread. It is a worker
 * so that questions about the time do not wait for the page.
 */

/** Bursts of questions: how many, how far apart, and how long until the next, in ms. Where the answers' delays vary, more. */
const first = { questions: 12, apart: 15, every: 1_000 };
const calm = { questions: 4, apart: 15, every: 4_000 };
const rough = { questions: 20, apart: 15, every: 2_000 };
/** A bound as narrow as this, in ms, takes no more questions than a few. */
const narrow = 0.4;
/** For how many bursts everything is new. */
const learning = 5;
/** After how long without an answer the connection counts as dead, in ms. */
const deaf = 6_000;
/** How long to wait before the next attempt to connect, in ms: at first, and at most. */
const retry = { least: 250, most: 5_000 };

const tell = (m: FromWorker): void => postMessage(m);

let join: Extract<ToWorker, { do: "join" }> | undefined;
let socket: WebSocket | undefined;
let epoch = 0;
let filter = new ClockFilter(0);
let bursts = 0;
let answered = 0;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let again: ReturnType<typeof setTimeout> | undefined;
let decoder: AudioDecoder | undefined;
let format: "flac" | "pcm" = "pcm";
/** When what the decoder is at work on is due, in its order: a decoder counts time by what it has decoded, whatever it was told. */
let due: number[] = [];
/** More than this many blocks at once is a decoder that gives nothing back: a room sends a second, which is 50, ahead. */
const mostDue = 200;
/** The room that the player was last said to be in. */
let room: string | undefined;

/** The page's clock, in ms: two workers' and pages' clocks begin at different moments. */
const now = (): number => performance.now() + (join === undefined ? 0 : performance.timeOrigin - join.origin);

const give = (m: Sound, transfer: Transferable[] = []): void => join?.port.postMessage(m, transfer);

onmessage = (event: MessageEvent<ToWorker>) => {
  const m = event.data;
  switch (m.do) {
    case "join":
      join = m;
      connect();
      break;
    case "report":
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ errorUs: m.errorUs, boundUs: m.boundUs }));
      break;
    case "leave":
      join = undefined;
      hangUp();
      close();
  }
};

function hangUp(): void {
  clearTimeout(timer);
  clearTimeout(again);
  const s = socket;
  socket = undefined;
  s?.close(1000);
  stopDecoder();
}

function connect(): void {
  if (join === undefined) return;
  hangUp();
  const url = new URL(join.url);
  if (room !== undefined) url.pathname = url.pathname.replace(/[^/]+\/play$/, `${encodeURIComponent(room)}/play`);
  for (const f of join.formats) url.searchParams.append("format", f);
  const s = new WebSocket(url, protocol);
  socket = s;
  s.binaryType = "arraybuffer";
  s.onopen = () => {
    if (socket !== s) return;
    epoch++;
    // A page's clock is rounded to 0.1 ms, or to 5 µs where it is isolated from other sites (High Resolution Time, §7.1).
    filter = new ClockFilter(self.crossOriginIsolated ? 0.005 : 0.1);
    bursts = 0;
    answered = now();
    give({ do: "epoch", epoch });
    tell({ is: "joined", epoch });
    burst();
  };
  s.onmessage = (event: MessageEvent<unknown>) => {
    const heard = now();
    if (socket !== s) return;
    if (typeof event.data === "string") settings(event.data);
    else if (event.data instanceof ArrayBuffer) take(event.data, heard);
  };
  s.onclose = (event) => {
    if (socket !== s) return;
    if (event.code === 4001) {
      tell({ is: "replaced" });
      hangUp();
      return;
    }
    lost();
  };
}

function lost(): void {
  hangUp();
  tell({ is: "lost" });
  const wait = Math.min(retry.most, retry.least * 2 ** failures);
  failures++;
  again = setTimeout(connect, wait);
}

function burst(): void {
  const s = socket;
  if (s?.readyState !== WebSocket.OPEN) return;
  if (now() - answered > deaf) {
    lost();
    return;
  }
  const line = filter.line(now());
  const manner = bursts < learning ? first : line !== undefined && line.bound < narrow ? calm : rough;
  bursts++;
  let asked = 0;
  const ask = () => {
    if (socket !== s) return;
    // Questions behind unsent ones would say nothing of the way.
    if (s.bufferedAmount === 0) s.send(question(now()));
    if (++asked < manner.questions) timer = setTimeout(ask, manner.apart);
    else timer = setTimeout(burst, manner.every);
  };
  ask();
}

function settings(text: string): void {
  const said = JSON.parse(text) as MemberSettings;
  room = said.room;
  tell({ is: "settings", settings: said });
}

let clockTold = 0;

function take(buffer: ArrayBuffer, heard: number): void {
  const m = parse(buffer);
  switch (m?.is) {
    case "time": {
      answered = heard;
      failures = 0;
      filter.add({ sent: m.sent, received: m.received, answered: m.answered, heard });
      // The line is a matter of every burst; the first ones are wanted at once.
      if (bursts > learning && heard - clockTold < 500) return;
      clockTold = heard;
      const line = filter.line(heard);
      if (line !== undefined) tell({ is: "clock", epoch, line });
      return;
    }
    case "header":
      give({ do: "clear" });
      format = m.format;
      stopDecoder();
      if (m.format === "flac") startDecoder(m.header);
      return;
    case "block":
      if (format === "pcm") {
        add(m.at, planesOfPcm("pcm-s16", m.data, 2));
        return;
      }
      if (decoder === undefined) return;
      if (due.push(m.at) > mostDue) plain();
      else decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: m.at * 1000, data: m.data }));
  }
}

function add(at: number, planes: Float32Array[]): void {
  give(
    { do: "add", at, planes },
    planes.map((p) => p.buffer as ArrayBuffer),
  );
}

/** Has the sound come as it is, where this browser's decoder does not do what it said it can. */
function plain(): void {
  if (join === undefined) return;
  join = { ...join, formats: ["pcm"] };
  connect();
}

/** FLAC by WebCodecs, whose description is the stream's header (FLAC WebCodecs Registration, §3). */
function startDecoder(header: Uint8Array): void {
  const d = new AudioDecoder({
    output(data) {
      try {
        // A FLAC frame is a block of sound: one comes back for each that was given, in order.
        const at = decoder === d ? due.shift() : undefined;
        if (at !== undefined) add(at, planesOf(data));
      } finally {
        data.close();
      }
    },
    error() {
      if (decoder === d) plain();
    },
  });
  decoder = d;
  d.configure({ codec: "flac", sampleRate: 48_000, numberOfChannels: 2, description: header });
}

function stopDecoder(): void {
  if (decoder !== undefined && decoder.state !== "closed") decoder.close();
  decoder = undefined;
  due = [];
}

// A network that is back is worth an attempt at once.
addEventListener("online", () => {
  if (join !== undefined && socket?.readyState !== WebSocket.OPEN) connect();
});
