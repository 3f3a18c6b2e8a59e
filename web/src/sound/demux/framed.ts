import { Index, type Point, Stream } from "./stream";
import type { Packet } from "./types";

/** What the header of a frame says, in formats whose frames say how long they are (MPEG audio, ADTS). */
export interface Frame {
  /** In bytes, header included. */
  length: number;
  samples: number;
  /** What the headers of all frames of one stream share. */
  kind: number;
}

/** How many frames in a row make the beginning of a stream certain, or its going on behind something else. */
const chain = 3;

/** What is read rather than guessed where a place ahead of what was read is sought, in seconds. */
const readOn = 10;

/** y at x on the straight lines between points, which rise in both. */
function between(points: readonly Point[], x: number, from: keyof Point, to: keyof Point): number {
  let i = 1;
  while (i < points.length - 1 && (points[i] as Point)[from] <= x) i++;
  const [a, b] = [points[i - 1] as Point, points[i] as Point];
  return b[from] <= a[from] ? a[to] : a[to] + ((x - a[from]) * (b[to] - a[to])) / (b[from] - a[from]);
}

/**
 * A stream of frames without times of their own: they are counted. Where it is entered in the middle, the count is
 * estimated from what is known of the file; it is exact in what was read from the beginning.
 */
export abstract class Framed extends Stream {
  protected sampleRate = 0;
  /** Where the first frame with sound in it stands. */
  protected first = 0;
  /** What the beginning and the end hold that is not to be heard, in samples. */
  protected trimStart = 0;
  protected trimEnd = 0;
  /** How many samples the headers announce, trims included; 0 where they say nothing. */
  protected announced = 0;
  /** Samples and places by a header's own table, from the first frame to the last. */
  protected table: Point[] = [];

  private kind: number | undefined;
  private synced = false;
  /** The first sample of the next frame, trims included, and whether it was counted from the beginning. */
  private sample = 0;
  private exact = true;
  private seen = { samples: 0, bytes: 0 };
  private index = new Index(44100);
  /** Packets that may hold what is to be cut off at the end. */
  private held: Packet[] = [];
  private heldSamples = 0;
  /** Frames that end before this sample are passed over: the target of a seek. */
  private from = 0;
  /** After landing in the middle: the sample, from the place of the first frame that is found. */
  private estimate: ((offset: number) => number) | undefined;

  /** Bytes that a header takes, and the samples a decoder wants to have seen before it is exact. */
  protected abstract readonly headerLength: number;
  protected abstract readonly warmUp: number;
  /** The header at i, all of which lies before tail; undefined where there is none. */
  protected abstract header(b: Uint8Array, i: number, tail: number): Frame | undefined;
  /** Looks at the first frame of the file; true where it holds no sound. */
  protected abstract begin(frame: Uint8Array, header: Frame): boolean;

  protected get known(): boolean {
    return this.kind !== undefined;
  }

  protected parse(out: Packet[], final: boolean): void {
    const w = this.w;
    while (this.synced || this.synchronise(final)) {
      if (w.length < this.headerLength) break;
      const frame = this.header(w.buf, w.head, w.tail);
      if (frame === undefined || (this.kind !== undefined && frame.kind !== this.kind)) {
        this.synced = false;
        continue;
      }
      if (w.length < frame.length) break;
      if (this.kind === undefined) {
        this.kind = frame.kind;
        this.first = w.at;
        if (this.begin(w.buf.subarray(w.head, w.head + frame.length), frame)) {
          w.drop(frame.length);
          this.first = w.at;
          continue;
        }
      }
      this.emit(frame, out);
      w.drop(frame.length);
    }
    if (final) this.cutEnd(out);
  }

  /** Finds the next place where frames follow one another; false where that needs more bytes. */
  private synchronise(final: boolean): boolean {
    const w = this.w;
    for (let i = w.head; ; i++) {
      i = w.buf.indexOf(0xff, i);
      if (i < 0 || i > w.tail) i = w.tail;
      const enough = i + this.headerLength <= w.tail;
      const found = enough && this.follow(i, final);
      if (enough && found === false) continue;
      w.drop(i - w.head);
      this.synced = found === true;
      return this.synced;
    }
  }

  /** Whether a chain of frames begins at i. */
  private follow(i: number, final: boolean): boolean | "more" {
    const { buf, tail } = this.w;
    let kind = this.kind;
    for (let n = 0; n < chain; n++) {
      if (final && i === tail) return n > 0;
      if (i + this.headerLength > tail) return final ? false : "more";
      const frame = this.header(buf, i, tail);
      if (frame === undefined || (kind !== undefined && frame.kind !== kind)) return false;
      kind = frame.kind;
      i += frame.length;
    }
    return true;
  }

  private emit(frame: Frame, out: Packet[]): void {
    const { w } = this;
    if (this.estimate !== undefined) {
      this.sample = Math.max(0, Math.round(this.estimate(w.at) / frame.samples) * frame.samples);
      this.estimate = undefined;
    }
    if (this.exact) {
      this.index.add(this.sample, w.at);
      this.seen.samples += frame.samples;
      this.seen.bytes += frame.length;
    }
    if (this.sample + frame.samples > this.from) {
      this.held.push({
        data: w.buf.slice(w.head, w.head + frame.length),
        timestampUs: Math.round(((this.sample - this.trimStart) * 1e6) / this.sampleRate),
        samples: frame.samples,
      });
      this.heldSamples += frame.samples;
      for (let p = this.held[0]; p !== undefined && this.heldSamples - p.samples >= this.trimEnd; p = this.held[0]) {
        out.push(p);
        this.held.shift();
        this.heldSamples -= p.samples;
      }
    }
    this.sample += frame.samples;
  }

  /** The last packets, without what is not to be heard. A file that was cut short has nothing to leave out. */
  private cutEnd(out: Packet[]): void {
    let cut = this.exact && this.sample < this.announced ? 0 : this.trimEnd;
    for (let p = this.held.pop(); p !== undefined; p = this.held.pop()) {
      if (p.samples > cut) {
        out.push(...this.held, { ...p, samples: p.samples - cut });
        break;
      }
      cut -= p.samples;
    }
    this.held = [];
    this.heldSamples = 0;
    this.finished = true;
  }

  seek(ms: number, sizeBytes: number): { offset: number; reset: () => void } {
    if (this.kind === undefined) return { offset: this.start, reset: () => this.enter({ sample: 0, offset: this.start }, 0) };
    const target = Math.max(0, Math.round((ms * this.sampleRate) / 1000)) + this.trimStart;
    const from = Math.max(0, target - this.warmUp);
    const [before, behind] = this.index.around(from);
    const known = before ?? { sample: 0, offset: this.first };
    if (behind !== undefined || from - known.sample <= readOn * this.sampleRate) {
      return { offset: known.offset, reset: () => this.enter(known, from) };
    }
    let points = this.table;
    if (points.length < 2) {
      const rate = this.seen.samples / Math.max(1, this.seen.bytes);
      const all = this.announced > 0 ? this.announced : (sizeBytes - this.first) * rate;
      points = [
        { sample: 0, offset: this.first },
        { sample: all, offset: sizeBytes },
      ];
    }
    const offset = Math.min(Math.floor(between(points, from, "sample", "offset")), sizeBytes);
    return {
      offset,
      reset: () => {
        this.enter({ sample: from, offset }, from);
        this.exact = false;
        this.estimate = (at) => between(points, at, "offset", "sample");
      },
    };
  }

  private enter(point: Point, from: number): void {
    this.restart(point.offset);
    this.synced = false;
    this.sample = point.sample;
    this.exact = true;
    this.estimate = undefined;
    this.from = from;
    this.held = [];
    this.heldSamples = 0;
  }
}
