/**
 * What exchanges about the time say of the room's clock against this page's: the straight lines that no exchange contradicts,
 * and the likeliest of them. It is what the server does with its own time servers (clock/filter.go).
 *
 * A message cannot arrive before it was sent, so each question bounds the offset from above and each answer from below,
 * whatever the delays were. The lines between all of those form a convex polygon in the plane of offset and rate; under a
 * jitter that both ways have, it is the least delay of each way by itself that cuts it (S. Moon, P. Skelly, D. Towsley:
 * "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999).
 */

/** A question and its answer: sent and heard by the page's clock, received and answered by the room's, in ms. */
export interface Exchange {
  readonly sent: number;
  readonly received: number;
  readonly answered: number;
  readonly heard: number;
}

/** The room's clock is `offset + rate · (t − at)` ms ahead of the page's at t. */
export interface ClockLine {
  readonly at: number;
  readonly offset: number;
  readonly rate: number;
  /** The most that the offset can be wrong by at `at`. */
  readonly bound: number;
}

export const roomTime = (l: ClockLine, t: number): number => t + l.offset + l.rate * (t - l.at);

interface Corner {
  offset: number;
  rate: number;
}

/** How many exchanges are kept, and for how long, in ms. */
const most = 2_400;
const oldest = 240_000;
/** Two crystals of 100 ppm, and the slewing of the room's clock by 500 ppm at most. */
const maxRate = 700e-6;
/** How far the line may have bent, as a rate: old exchanges count less. */
const wander = 20e-9;

export class ClockFilter {
  private exchanges: Exchange[] = [];

  /** noise is how exactly the page's clock can be read, in ms: browsers round it. */
  constructor(private readonly noise: number) {}

  add(e: Exchange): void {
    // An answer from before its question is none.
    if (e.heard < e.sent || e.answered < e.received) return;
    this.exchanges.push(e);
    while (this.exchanges.length > most || e.heard - (this.exchanges[0]?.sent ?? 0) > oldest) this.exchanges.shift();
  }

  /** The likeliest line as seen from a moment; undefined before the first exchange. */
  line(at: number): ClockLine | undefined {
    for (let drop = 0; drop < this.exchanges.length; drop += Math.max(1, (this.exchanges.length - drop) >> 3)) {
      const corners = this.polygon(at, drop);
      if (corners.length === 0) continue; // one of the clocks did not keep to a line: the oldest exchanges go first
      if (drop > 0) this.exchanges.splice(0, drop);
      const { offset, rate } = middle(corners);
      const offsets = corners.map((c) => c.offset);
      return { at, offset, rate, bound: Math.max(Math.max(...offsets) - offset, offset - Math.min(...offsets)) };
    }
    return undefined;
  }

  private polygon(at: number, drop: number): Corner[] {
    const last = this.exchanges.at(-1);
    if (last === undefined) return [];
    const far = 2 * maxRate * (at - last.sent) + 1_000;
    const high = last.received - last.sent + far;
    const low = last.answered - last.heard - far;
    let corners: Corner[] = [
      { offset: low, rate: -maxRate },
      { offset: high, rate: -maxRate },
      { offset: high, rate: maxRate },
      { offset: low, rate: maxRate },
    ];
    for (let i = this.exchanges.length - 1; i >= drop && corners.length > 0; i--) {
      const e = this.exchanges[i];
      if (e === undefined) break;
      const before = e.sent - at;
      const after = e.heard - at;
      corners = clip(corners, before, e.received - e.sent + this.noise - wander * before, 1);
      corners = clip(corners, after, e.answered - e.heard - this.noise + wander * after, -1);
    }
    return corners;
  }
}

/** Keeps the part of a convex polygon where sign·(offset + rate·x) ≤ sign·bound (I. Sutherland, G. Hodgman: "Reentrant polygon clipping", CACM 17 (1974)). */
function clip(corners: Corner[], x: number, bound: number, sign: number): Corner[] {
  let outside = false;
  for (const c of corners) if (sign * (c.offset + c.rate * x - bound) > 0) outside = true;
  if (!outside) return corners;
  const out: Corner[] = [];
  for (let i = 0; i < corners.length; i++) {
    const a = corners[i];
    const b = corners[(i + 1) % corners.length];
    if (a === undefined || b === undefined) break;
    const da = sign * (a.offset + a.rate * x - bound);
    const db = sign * (b.offset + b.rate * x - bound);
    if (da <= 0) out.push(a);
    if ((da < 0 && db > 0) || (da > 0 && db < 0)) {
      const part = da / (da - db);
      out.push({ offset: a.offset + part * (b.offset - a.offset), rate: a.rate + part * (b.rate - a.rate) });
    }
  }
  return out;
}

/** The line as far as it can be from every bound: at the rate where the polygon is widest, halfway up. */
function middle(corners: readonly Corner[]): Corner {
  const rounding = 1e-6;
  let widest = -1;
  let from = 0;
  let to = 0;
  for (const c of corners) {
    const [low, high] = slice(corners, c.rate);
    if (high - low > widest + rounding) {
      widest = high - low;
      from = to = c.rate;
    } else if (high - low > widest - rounding) {
      from = Math.min(from, c.rate);
      to = Math.max(to, c.rate);
    }
  }
  const rate = (from + to) / 2;
  const [low, high] = slice(corners, rate);
  return { offset: (low + high) / 2, rate };
}

/** The extent in offset of the lines with one rate. */
function slice(corners: readonly Corner[], rate: number): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  const add = (v: number) => {
    low = Math.min(low, v);
    high = Math.max(high, v);
  };
  for (let i = 0; i < corners.length; i++) {
    const a = corners[i];
    const b = corners[(i + 1) % corners.length];
    if (a === undefined || b === undefined) break;
    if (a.rate === rate) add(a.offset);
    if (a.rate < rate !== b.rate < rate && a.rate !== b.rate) add(a.offset + ((rate - a.rate) / (b.rate - a.rate)) * (b.offset - a.offset));
  }
  return [low, high];
}
