import type { Demuxed, Demuxer, Packet } from "./types";

/** How much is taken apart at once, so that a whole file in one push is not copied whole. */
const slice = 1 << 18;

/** To be passed over by asking for what lies behind it rather than by reading it: about what a round trip could fetch. */
const worthSkipping = 1 << 18;

/** Bytes that have arrived and are still needed, and where in the file they stand. */
export class Window {
  /** Valid from head to tail. What lies outside is old. */
  buf = new Uint8Array(1 << 16);
  head = 0;
  tail = 0;
  /** Where in the file the byte at head stands. */
  at = 0;

  get length(): number {
    return this.tail - this.head;
  }

  append(bytes: Uint8Array): void {
    if (this.tail + bytes.length > this.buf.length) {
      const need = this.length + bytes.length;
      const into = need > this.buf.length ? new Uint8Array(2 ** Math.ceil(Math.log2(need))) : this.buf;
      into.set(this.buf.subarray(this.head, this.tail));
      this.buf = into;
      this.tail -= this.head;
      this.head = 0;
    }
    this.buf.set(bytes, this.tail);
    this.tail += bytes.length;
  }

  drop(n: number): void {
    this.head += n;
    this.at += n;
  }

  clear(at: number): void {
    this.head = this.tail = 0;
    this.at = at;
  }

  /** What is there, without a copy: good until the next append. */
  view(): Uint8Array {
    return this.buf.subarray(this.head, this.tail);
  }
}

/** What all demuxers share: where they stand in the file, and what of it they still want. */
export abstract class Stream implements Demuxer {
  protected readonly w = new Window();
  /** Where bytes that are pushed without a place would begin. */
  protected expected: number;
  /** Nothing further is of interest. */
  protected finished = false;

  /** `start`: where in the file the stream begins, behind tags. */
  constructor(protected readonly start = 0) {
    this.w.clear(start);
    this.expected = start;
  }

  /** Takes apart what the window holds. `final` where nothing can follow. */
  protected abstract parse(out: Packet[], final: boolean): void;
  abstract info(): Demuxed | undefined;
  abstract seek(ms: number, sizeBytes: number): { offset: number; reset: () => void };

  /** The next byte that is needed. */
  protected get position(): number {
    return this.w.at + this.w.length;
  }

  push(bytes: Uint8Array, at = this.expected): Packet[] {
    const out: Packet[] = [];
    const end = at + bytes.length;
    this.expected = end;
    while (!this.finished) {
      const from = this.position;
      if (from < at || from >= end) break;
      this.w.append(bytes.subarray(from - at, Math.min(from - at + slice, bytes.length)));
      this.parse(out, false);
    }
    return out;
  }

  end(): Packet[] {
    const out: Packet[] = [];
    if (!this.finished) this.parse(out, true);
    return out;
  }

  wants(): number | undefined {
    const ahead = this.position - this.expected;
    return this.finished || ahead === 0 || (ahead > 0 && ahead < worthSkipping) ? undefined : this.position;
  }

  /** Goes on at a place in the file, which may lie outside what has arrived. */
  protected goTo(at: number): void {
    const ahead = at - this.w.at;
    if (ahead >= 0 && ahead <= this.w.length) this.w.drop(ahead);
    else this.w.clear(at);
  }

  /** As if the next push began at a place. */
  protected restart(at: number): void {
    this.finished = false;
    this.w.clear(at);
    this.expected = at;
  }
}

/** A sample and where in the file the packet that begins with it stands. */
export interface Point {
  sample: number;
  offset: number;
}

/** Points passed while reading, about a second apart at first and farther where there are many: at most `most` of them. */
export class Index {
  private points: Point[] = [];
  constructor(
    private spacing: number,
    private readonly most = 16384,
  ) {}

  /** `always`: however close it is to the one before. */
  add(sample: number, offset: number, always = false): void {
    const last = this.points[this.points.length - 1];
    if (last !== undefined && (offset <= last.offset || sample < last.sample + (always ? 0 : this.spacing))) return;
    this.points.push({ sample, offset });
    if (this.points.length < this.most) return;
    this.spacing *= 2;
    this.points = this.points.filter((_, i) => i % 2 === 0);
  }

  /** The last point at or before a sample, and the first behind it. */
  around(sample: number): [Point | undefined, Point | undefined] {
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.points[mid] as Point).sample <= sample) low = mid + 1;
      else high = mid;
    }
    return [this.points[low - 1], this.points[low]];
  }
}

/** How often a search looks before it takes the last place that is known to lie before its target. */
const mostProbes = 8;

/**
 * An interpolation search for a sample in a file whose packets say where in time they stand (FLAC, Ogg). Each probe
 * may cost a request, so it stops as soon as what would be read in vain is less than one is worth.
 */
export class Search {
  private probes = 0;
  /** Where the last probe was sent. */
  offset: number;

  /** `low` lies at or before the target; `high` behind it. `near` is how many samples may be read in vain. */
  constructor(
    readonly target: number,
    private low: Point,
    private high: Point,
    private readonly near: number,
  ) {
    this.offset = this.guess();
  }

  private guess(): number {
    const { low, high } = this;
    const bytes = high.offset - low.offset;
    if (this.probes >= mostProbes || this.target - low.sample <= this.near || bytes < slice / 4) return low.offset;
    if (high.sample === Infinity) return low.offset + (bytes >> 1);
    const perSample = bytes / (high.sample - low.sample);
    // A little early: landing behind the target costs another probe, landing before it only the reading.
    const aim = low.offset + Math.floor((this.target - this.near / 2 - low.sample) * perSample);
    return Math.max(low.offset, Math.min(aim, high.offset - slice / 8));
  }

  /** The first packet from `offset` on stands at point: whether to go on from there, else look at `offset` again. */
  landed(point: Point): boolean {
    if (this.offset === this.low.offset) return true;
    if (point.sample <= this.target) {
      if (this.target - point.sample <= this.near) return true;
      this.low = point;
    } else {
      this.high = { sample: point.sample, offset: this.offset };
    }
    this.probes++;
    const before = this.offset;
    this.offset = this.guess();
    return this.offset === before;
  }

  /** Nothing was found from `offset` on: whether to look at `offset` again, which is another place now. */
  missed(): boolean {
    const before = this.offset;
    if (before === this.low.offset) return false;
    this.high = { sample: this.high.sample, offset: before };
    this.probes++;
    this.offset = this.guess();
    return this.offset !== before;
  }
}
