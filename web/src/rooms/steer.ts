import { halfTaps, Ring } from "./resample";

/** Room samples a second. */
export const roomRate = 48_000;

/** Where the sound has to be: at a frame of the context, the room's clock shows `server` ms; a frame further, `perFrame` ms more. */
export interface Line {
  readonly frame: number;
  readonly server: number;
  readonly perFrame: number;
}

/** The most that the speed may differ from that of the recording: a sixtieth of a semitone, which nobody hears. */
export const maxSpeed = 0.001;
/** In how many seconds a difference is made up for, as long as the speed allows it. */
const settle = 1.5;
/** By how much the speed may change from one block of 128 frames to the next. */
const maxBend = 1e-5;
/** A difference from here on, in samples, is jumped over, so that it does not last: 5 ms, and 1 ms while the sound has only begun. */
const jumpAt = 0.005 * roomRate;
const jumpEarly = 0.001 * roomRate;
/** For how many seconds the sound counts as just begun: the lines are being learned. */
const beginning = 4;
/** The least time between jumps, in seconds. */
const betweenJumps = 0.4;
/** How long sound takes to come and to go where it would break off, in frames. */
const fade = 256;

/**
 * Plays a room's samples when they are due. It is told where the sound has to be (line) and keeps to that by playing faster or
 * slower by up to a thousandth; what is further off than can be made up for soon is jumped over, the old sound fading into
 * the new. Without samples there is silence, and then sound where it has to be by then.
 */
export class Steering {
  private line: Line | undefined;
  /** When sample 0 is due, in ms of the room's clock; undefined before the first block. */
  private origin: number | undefined;
  /** The sample that the next frame plays; undefined while there is nothing to play. */
  private place: number | undefined;
  private speed = 1;
  /** How loud the sound comes, 0 to 1: it fades in, and out before the samples end. */
  private level = 0;
  /** The end of what was left, to be mixed into what comes. */
  private tail: Float32Array[] = [];
  private tailAt = 0;
  private begun = 0;
  private jumped = -Infinity;
  private readonly one: Float32Array;
  /** How far off the last block was played, in samples: positive is late. */
  off = 0;

  /** The ring holds five seconds; rooms send one ahead. */
  constructor(
    channels: number,
    private readonly ring = new Ring(channels, 1 << 18),
  ) {
    this.one = new Float32Array(channels);
  }

  /** Forgets all samples: other sound follows, or silence. */
  clear(): void {
    this.leave();
    this.ring.clear();
    this.origin = undefined;
    this.place = undefined;
  }

  /** Forgets where the sound has to be, as when the room's clock is another. */
  lose(): void {
    this.clear();
    this.line = undefined;
  }

  /** Takes samples that are due at a time of the room's clock, in ms. */
  add(at: number, planes: readonly Float32Array[]): void {
    this.origin ??= at;
    this.ring.write(Math.round(((at - this.origin) * roomRate) / 1000), planes);
  }

  steer(line: Line): void {
    this.line = line;
  }

  /** Whether there is sound. */
  get sounding(): boolean {
    return this.level > 0;
  }

  /** How much faster than the recording it plays. */
  get faster(): number {
    return this.speed - 1;
  }

  /** The sample that the next frame plays, as far as it has to; NaN where nothing plays. */
  get at(): number {
    return this.place ?? NaN;
  }

  /** Seconds of sound that are still to come. */
  get ahead(): number {
    return this.place === undefined ? 0 : Math.max(0, this.ring.to - this.place) / roomRate;
  }

  /** The sample that a frame has to play. */
  private due(frame: number): number | undefined {
    const { line, origin } = this;
    if (line === undefined || origin === undefined) return undefined;
    return ((line.server + line.perFrame * (frame - line.frame) - origin) * roomRate) / 1000;
  }

  /** Fills the next frames, of which the first has a number; rate is the context's. */
  render(out: readonly Float32Array[], frame: number, rate: number): void {
    const length = out[0]?.length ?? 0;
    for (const p of out) p.fill(0);
    const due = this.due(frame);
    const { line } = this;
    if (due === undefined || line === undefined || this.ring.to - due < halfTaps) {
      // Nothing is due, or what is due is not here.
      if (this.place !== undefined) this.leave();
      this.place = undefined;
      this.level = 0;
      this.mixTail(out);
      return;
    }
    const natural = (line.perFrame * roomRate) / 1000;
    if (this.place === undefined) {
      this.place = due;
      this.speed = natural;
      this.begun = frame;
      this.jumped = frame;
    }
    let off = due - this.place;
    const early = frame - this.begun < beginning * rate;
    if (Math.abs(off) > (early ? jumpEarly : jumpAt) && (frame - this.jumped > betweenJumps * rate || Math.abs(off) > roomRate / 10)) {
      this.leave();
      this.jumped = frame;
      this.place = due;
      this.speed = natural;
      this.level = 0;
      off = 0;
    }
    this.off = off;
    // The middle of what is allowed is the recording's own speed, by the context's clock as it is said to run.
    const nominal = roomRate / rate;
    const wanted = clamp(natural + off / (settle * rate), nominal * (1 - maxSpeed), nominal * (1 + maxSpeed));
    this.speed += clamp(wanted - this.speed, -maxBend, maxBend);
    for (let i = 0; i < length; i++) {
      // Loud as long as there is enough for fading out.
      const there = this.ring.run(this.place) > halfTaps + fade;
      this.level = clamp(this.level + (there ? 1 : -1) / fade, 0, 1);
      if (this.level > 0) {
        this.ring.read(this.place, this.one);
        for (let c = 0; c < out.length; c++) {
          const p = out[c];
          if (p !== undefined) p[i] = (this.one[Math.min(c, this.one.length - 1)] ?? 0) * this.level;
        }
      }
      this.place += this.speed;
    }
    this.mixTail(out);
  }

  /** Keeps the end of what sounds, fading out, to be mixed into whatever comes. */
  private leave(): void {
    if (this.place === undefined || this.level === 0) return;
    this.tail = Array.from({ length: this.ring.channels }, () => new Float32Array(fade));
    this.tailAt = 0;
    let place = this.place;
    for (let i = 0; i < fade; i++) {
      this.ring.read(place, this.one);
      for (let c = 0; c < this.tail.length; c++) {
        const p = this.tail[c];
        if (p !== undefined) p[i] = (this.one[c] ?? 0) * this.level * (1 - (i + 1) / fade);
      }
      place += this.speed;
    }
    this.level = 0;
  }

  private mixTail(out: readonly Float32Array[]): void {
    if (this.tail.length === 0) return;
    const length = out[0]?.length ?? 0;
    out.forEach((p, c) => {
      const t = this.tail[Math.min(c, this.tail.length - 1)];
      if (t !== undefined) for (let i = 0; i < length && this.tailAt + i < fade; i++) p[i] = (p[i] ?? 0) + (t[this.tailAt + i] ?? 0);
    });
    this.tailAt += length;
    if (this.tailAt >= fade) this.tail = [];
  }
}

const clamp = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));
