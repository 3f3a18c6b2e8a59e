/**
 * When what the page gives its AudioContext is heard: the straight line from the context's time to the page's clock. What
 * getOutputTimestamp says (Web Audio API, §1.2.5) is right on average and off by milliseconds each time, since sound
 * systems report their delay in steps; so a line is laid through three minutes of it.
 */
export interface OutputLine {
  /** Context time, in s, and when that is heard, in ms of the page's clock. */
  readonly context: number;
  readonly heard: number;
  /** Milliseconds of the page's clock to a second of the context. */
  readonly slope: number;
  /** How far single readings lie from the line, in ms: the median. */
  readonly noise: number;
}

export const heardAt = (l: OutputLine, context: number): number => l.heard + l.slope * (context - l.context);

interface Reading {
  readonly context: number;
  readonly heard: number;
}

/** How long readings are kept, in s of the context, and how many. */
const oldest = 180;
const most = 1_800;
/** A sound card's crystal is within this of its nominal rate, usually: what the line leans on while readings are few. */
const likelyRate = 100e-6;
/** The least noise that readings are taken to have, in ms: a browser's clock is rounded. */
const leastNoise = 0.05;
/**
 * A new line begins where so many readings in a row lie off the line on one side by so many times the noise, and at least so
 * many ms; and where the median of more of them does. On a machine that is busy, noise is large, and only the latter tells.
 */
const steps = [
  { readings: 6, noise: 6, whole: true },
  { readings: 20, noise: 2.5, whole: false },
] as const;
const leastStep = 3;

export class OutputFilter {
  private readings: Reading[] = [];
  private fit: OutputLine | undefined;
  /** How many readings have come since. */
  private fresh = 0;

  /** Takes a reading. It returns false for one that says nothing new. */
  add(context: number, heard: number): boolean {
    const last = this.readings.at(-1);
    if (context <= 0 || heard <= 0 || (last !== undefined && context <= last.context)) return false;
    this.readings.push({ context, heard });
    while (this.readings.length > most || context - (this.readings[0]?.context ?? 0) > oldest) this.readings.shift();
    this.fresh++;
    const anew = this.stepped();
    if (anew > 0) {
      this.readings = this.readings.slice(-anew);
      this.fit = undefined;
    }
    return true;
  }

  reset(): void {
    this.readings = [];
    this.fit = undefined;
  }

  /** How many of the latest readings lie apart from the line of those before, as the sound system has changed its mind, or its device: 0 for none. */
  private stepped(): number {
    const l = this.fit;
    if (l === undefined) return 0;
    for (const { readings, noise, whole } of steps) {
      if (this.readings.length < 2 * readings) continue;
      const off = this.readings.slice(-readings).map((r) => r.heard - heardAt(l, r.context));
      const least = Math.max(leastStep, noise * l.noise);
      if (whole ? off.every((o) => o > least) || off.every((o) => o < -least) : Math.abs(median(off)) > least) return readings;
    }
    return 0;
  }

  /**
   * The line as it is now; undefined before there are a few readings. One among many changes it by little, so that it is laid
   * anew only once there are a hundredth more.
   */
  line(): OutputLine | undefined {
    if (this.readings.length < 3) return undefined;
    if (this.fit === undefined || this.fresh * 100 >= this.readings.length) {
      this.fit = robust(this.readings);
      this.fresh = 0;
    }
    return this.fit;
  }

  /** How much later than the line says the readings of the last so many seconds were, on average, in ms. */
  late(seconds: number): number {
    const l = this.line();
    const last = this.readings.at(-1);
    if (l === undefined || last === undefined) return 0;
    const recent = this.readings.filter((r) => last.context - r.context <= seconds);
    return recent.reduce((sum, r) => sum + r.heard - heardAt(l, r.context), 0) / recent.length;
  }
}

/** Least squares with the weights of P. Huber ("Robust Estimation of a Location Parameter", 1964), twice over, and a Gaussian prior on the rate. */
function robust(readings: readonly Reading[]): OutputLine {
  const n = readings.length;
  // Seen from the last reading, and against the nominal rate, so that numbers are small.
  const from = readings[n - 1] ?? { context: 0, heard: 0 };
  const x = readings.map((r) => r.context - from.context);
  const y = readings.map((r, i) => r.heard - from.heard - 1000 * (x[i] ?? 0));
  let offset = median(y);
  let rate = 0;
  let noise = leastNoise;
  for (let round = 0; round < 3; round++) {
    const off = y.map((v, i) => v - offset - rate * (x[i] ?? 0));
    noise = Math.max(leastNoise, median(off.map(Math.abs)));
    let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const weight = Math.min(1, (2 * noise) / Math.max(1e-9, Math.abs(off[i] ?? 0)));
      const xi = x[i] ?? 0;
      const yi = y[i] ?? 0;
      w += weight;
      wx += weight * xi;
      wy += weight * yi;
      wxx += weight * xi * xi;
      wxy += weight * xi * yi;
    }
    const mx = wx / w;
    const my = wy / w;
    const variance = (1.5 * noise) ** 2; // of a reading whose median deviation is noise
    rate = (wxy - w * mx * my) / (wxx - w * mx * mx + variance / (likelyRate * 1000) ** 2);
    offset = my - rate * mx;
  }
  return { context: from.context, heard: from.heard + offset, slope: 1000 + rate, noise };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[mid] ?? 0) : ((sorted[mid - 1] ?? 0) + (sorted[mid] ?? 0)) / 2;
}
