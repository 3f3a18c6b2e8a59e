import { type Memory, piece } from "./decode";
import { Job } from "./job";
import type { FromWorker, Samples, Taken, ToWorker, Wanted } from "./messages";

/** How far ahead of the ears is decoded, in seconds, and how near it may come before decoding goes on: in few long strides the processor sleeps more. */
const aheadSeconds = 30;
const resumeSeconds = 20;

/** The same in memory, for what has many channels or a high rate, in bytes. */
const aheadBytes = 48 << 20;

/** Pieces that came back from the audio thread: what is decoded next goes into them, so that seeking about leaves nothing behind. */
const spare: Float32Array[] = [];
const mostSpare = aheadBytes / (piece * Float32Array.BYTES_PER_ELEMENT);
const memory: Memory = {
  get: (frames) => (frames === piece ? spare.pop() : undefined) ?? new Float32Array(frames),
  put(planes) {
    for (const p of planes) if (p.length === piece && spare.length < mostSpare) spare.push(p);
  },
};

interface Running {
  readonly job: Job;
  /** Frames given out and not yet played. */
  ahead: number;
  finished: boolean;
}

const outputs = new Map<number, MessagePort>();
const running = new Map<number, Running>();
/** What is decoded, or was last. */
let now: Running | undefined;
/** The segment that is heard. */
let heard = 0;
/** What is to be decoded then. */
let next: { wanted: Wanted; job: Job } | undefined;
let wake: (() => void)[] = [];
/** Decoding goes in strides: full until enough was played. */
let full = false;

const tell = (what: FromWorker): void => postMessage(what);

/** How much of what may be decoded ahead is, 1 for all of it. */
function filled(): number {
  let seconds = 0;
  let bytes = 0;
  for (const r of running.values()) {
    seconds += r.ahead / r.job.wanted.sampleRate;
    bytes += r.ahead * r.job.wanted.channels * Float32Array.BYTES_PER_ELEMENT;
  }
  return Math.max(seconds / aheadSeconds, bytes / aheadBytes);
}

async function room(): Promise<void> {
  while (full || filled() >= 1) {
    full = true;
    // With enough here, the beginning of what comes next is worth having: somebody may skip to it.
    next?.job.prepare();
    await new Promise<void>((resolve) => wake.push(resolve));
  }
}

function taken({ id, frames, spent }: Taken): void {
  memory.put(spent);
  const r = running.get(id);
  if (r === undefined) return;
  r.ahead -= frames;
  if (r.finished && r.ahead <= 0) running.delete(id);
  if (filled() < resumeSeconds / aheadSeconds) go();
}

function go(): void {
  full = false;
  const waiting = wake;
  wake = [];
  for (const w of waiting) w();
}

function make(wanted: Wanted, from?: Job): Job {
  const { id } = wanted;
  const send = (what: Samples, planes: Float32Array[] = []) => outputs.get(wanted.output)?.postMessage(what, planes.map((p) => p.buffer as ArrayBuffer));
  return new Job(
    wanted,
    {
      give(planes) {
        const r = running.get(id);
        if (r !== undefined) r.ahead += planes[0]?.length ?? 0;
        send({ id, planes }, planes);
      },
      shape(sampleRate, channels) {
        if (sampleRate !== wanted.sampleRate || channels > wanted.channels) tell({ is: "shape", id, sampleRate, channels });
      },
      complete() {
        send({ id, complete: true });
        const r = running.get(id);
        if (r !== undefined) r.finished = true;
        if (r === now) goOn();
      },
      failed: (why) => tell({ is: "failed", id, why }),
      room,
    },
    memory,
    from,
  );
}

function start(job: Job): Running {
  const r: Running = { job, ahead: 0, finished: false };
  running.set(job.wanted.id, r);
  void job.run();
  return r;
}

/** What is loaded is decoded to its end: on with what follows it. */
function goOn(): void {
  if (next === undefined || (now !== undefined && !now.finished && running.get(now.job.wanted.id) === now)) return;
  const { job } = next;
  next = undefined;
  now = start(job);
}

function drop(id: number): void {
  running.get(id)?.job.stop();
  running.delete(id);
}

onmessage = (event: MessageEvent<ToWorker>) => {
  const m = event.data;
  switch (m.do) {
    case "output":
      outputs.set(m.output, m.port);
      m.port.onmessage = (e: MessageEvent<Taken>) => taken(e.data);
      break;
    case "close":
      outputs.get(m.output)?.close();
      outputs.delete(m.output);
      break;
    case "load": {
      const job = make(m.wanted, running.get(m.from)?.job);
      forget();
      heard = m.wanted.id;
      now = start(job);
      go();
      break;
    }
    case "follow":
      // What was to follow may be under way already; numbers grow.
      for (const id of running.keys()) if (id > heard) drop(id);
      next?.job.stop();
      next = m.wanted === undefined ? undefined : { wanted: m.wanted, job: make(m.wanted) };
      if (filled() < resumeSeconds / aheadSeconds) go();
      goOn();
      break;
    case "heard":
      heard = m.id;
      for (const id of running.keys()) if (id < heard) drop(id);
      if (next?.wanted.id === heard) {
        // Somebody skipped to what was to follow before it was its turn.
        now = start(next.job);
        next = undefined;
      }
      // What is left unheard makes room.
      if (filled() < resumeSeconds / aheadSeconds) go();
      break;
    case "stop":
      forget();
      now = undefined;
      go();
  }
};

function forget(): void {
  for (const id of running.keys()) drop(id);
  next?.job.stop();
  next = undefined;
}
