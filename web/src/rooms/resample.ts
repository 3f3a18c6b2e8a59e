/**
 * Reads samples at places between them: a windowed sinc in phases (J. O. Smith: "Digital Audio Resampling", CCRMA, with J.
 * Kaiser's window). Speeds differ from 1 by a thousandth at most, so nothing has to be kept from folding.
 */

/** Samples on each side of a place that count: clean up to 21 kHz of 24. */
export const halfTaps = 24;
const taps = 2 * halfTaps;
const phases = 256;
/** Of the window: 90 dB. */
const beta = 9;

/** One row more than there are phases, so that the last has one to lead to. */
const table = (() => {
  const t = new Float32Array((phases + 1) * taps);
  for (let p = 0; p <= phases; p++) {
    let sum = 0;
    const row = t.subarray(p * taps, (p + 1) * taps);
    for (let i = 0; i < taps; i++) {
      const x = i - (halfTaps - 1) - p / phases;
      const r = x / halfTaps;
      const window = Math.abs(r) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - r * r)) / bessel(beta);
      row[i] = (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)) * window;
      sum += row[i] ?? 0;
    }
    for (let i = 0; i < taps; i++) row[i] = (row[i] ?? 0) / sum;
  }
  return t;
})();

/** The modified Bessel function I₀, by its series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const weights = new Float32Array(taps);

/** Samples by their number, of all channels, in a ring: what is outside of what was written is silence. */
export class Ring {
  private readonly planes: Float32Array[];
  private readonly mask: number;
  /** The numbers of the first sample that is there and of the first that is not. */
  from = 0;
  to = 0;
  /** The latest stretch between them that never came. */
  private gap = { from: 0, to: 0 };

  /** size is a power of two. */
  constructor(
    readonly channels: number,
    private readonly size: number,
  ) {
    this.planes = Array.from({ length: channels }, () => new Float32Array(size));
    this.mask = size - 1;
  }

  clear(): void {
    this.from = this.to = 0;
    this.gap = { from: 0, to: 0 };
  }

  /** How many samples there are from a place on without a break; less than 0 where there is none at all. */
  run(place: number): number {
    if (place < this.from) return -1;
    if (place < this.gap.from) return this.gap.from - place;
    if (place < this.gap.to) return -1;
    return this.to - place;
  }

  /** Puts samples at a number. What lies before what is there, or further ahead than the ring holds, is dropped; a gap is silence. */
  write(at: number, planes: readonly Float32Array[]): void {
    const length = planes[0]?.length ?? 0;
    if (this.from === this.to) this.from = this.to = at;
    const skip = Math.max(0, this.to - at);
    if (skip >= length || at + length - this.to > this.size) return;
    if (at > this.to) {
      this.gap = { from: this.to, to: at };
      for (const p of this.planes) for (let n = this.to; n < at; n++) p[n & this.mask] = 0;
    }
    this.planes.forEach((p, c) => {
      const source = planes[Math.min(c, planes.length - 1)];
      if (source === undefined) return;
      for (let i = skip; i < length; i++) p[(at + i) & this.mask] = source[i] ?? 0;
    });
    this.to = at + length;
    this.from = Math.max(this.from, this.to - this.size);
  }

  /** What is at a place between samples, of every channel. */
  read(place: number, out: Float32Array): void {
    const whole = Math.floor(place);
    const phase = (place - whole) * phases;
    const row = Math.floor(phase);
    const part = phase - row;
    const first = whole - (halfTaps - 1);
    for (let i = 0; i < taps; i++) {
      const n = first + i;
      const a = table[row * taps + i] ?? 0;
      weights[i] = n < this.from || n >= this.to ? 0 : a + part * ((table[(row + 1) * taps + i] ?? 0) - a);
    }
    for (let c = 0; c < this.channels; c++) {
      const p = this.planes[c];
      let sum = 0;
      if (p !== undefined) for (let i = 0; i < taps; i++) sum += (weights[i] ?? 0) * (p[(first + i) & this.mask] ?? 0);
      out[c] = sum;
    }
  }
}
