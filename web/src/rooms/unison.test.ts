import { describe, expect, test } from "vitest";
import { ClockFilter, type ClockLine, roomTime } from "./clockline";
import { heardAt, OutputFilter } from "./outputline";
import { Ring } from "./resample";
import { maxSpeed, roomRate, Steering } from "./steer";

/** Mulberry32 (T. Ettinger), so that chance is the same every time. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const percentile = (values: readonly number[], p: number): number => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * p)] ?? NaN;

interface World {
  seed: number;
  /** The page's clock and the sound card against true time, in parts per million. */
  clockPpm: number;
  dacPpm: number;
  /** Delay of a message, each way, between base and base + jitter ms. */
  baseMs: number;
  jitterMs: number;
  /** How far off a single output timestamp is, either way, in ms. */
  stampMs: number;
  seconds: number;
  /** Where samples are is all that matters, and not what they are. */
  silent?: boolean;
  /** Nothing arrives from one second to another. */
  away?: readonly [number, number];
}

/** A ring that is not read, which takes nearly all of the time. */
class Mute extends Ring {
  override read(): void {
    return;
  }
}

/** How often in virtual time things happen, in ms, as the member does them. */
const pollEvery = 100;
const block = 128;

/**
 * A member in virtual time: its true parts (filters, steering, resampler) between a sound card, a clock and a network that are
 * made of numbers. The room's clock is true time.
 */
function live(w: World, sound: (n: number) => number) {
  const chance = random(w.seed);
  const pageAt = (t: number) => 5_000 + t * (1 + w.clockPpm * 1e-6);
  const frameAt = (t: number) => (t - 40) * (roomRate / 1000) * (1 + w.dacPpm * 1e-6); // 40 ms of device
  const gone = (t: number) => w.away !== undefined && t >= w.away[0] * 1000 && t < w.away[1] * 1000;
  const clock = new ClockFilter(0.1);
  const output = new OutputFilter();
  const steering = new Steering(1, w.silent === true ? new Mute(1, 1 << 18) : undefined);
  const round = (v: number) => Math.floor(v * 10) / 10; // a browser's clock
  const due0 = 500; // when sample 0 is due
  let written = 0;
  let nextPoll = 60;
  let nextBurst = 0;
  let bursts = 0;
  let line: ClockLine | undefined;
  const offs: { t: number; us: number; sounding: boolean }[] = [];
  const heard: number[] = [];
  const speeds: number[] = [];
  const out = [new Float32Array(block)];
  let frame = 0;
  for (let t = 40; t < w.seconds * 1000; ) {
    t = 40 + frame / ((roomRate / 1000) * (1 + w.dacPpm * 1e-6)); // when this frame is heard
    const rendered = t - 40;
    while (nextBurst <= rendered) {
      for (let i = 0; i < (bursts < 5 ? 12 : 20); i++) {
        const sent = nextBurst + 15 * i;
        if (gone(sent)) continue;
        const arrives = sent + w.baseMs + chance() * w.jitterMs;
        const back = arrives + 0.02 + w.baseMs + chance() * w.jitterMs;
        clock.add({ sent: round(pageAt(sent)), received: arrives, answered: arrives + 0.02, heard: round(pageAt(back)) });
      }
      line = clock.line(pageAt(nextBurst + 200)) ?? line;
      nextBurst += bursts++ < 5 ? 1_000 : 2_000;
    }
    while (nextPoll <= rendered) {
      const played = frameAt(nextPoll) / roomRate;
      if (played > 0) output.add(played, round(pageAt(nextPoll) + (chance() * 2 - 1) * w.stampMs));
      const o = output.line();
      if (o !== undefined && line !== undefined) {
        const at = frame / roomRate;
        const server = roomTime(line, heardAt(o, at));
        const later = roomTime(line, heardAt(o, at + 1));
        steering.steer({ frame, server, perFrame: (later - server) / roomRate });
      }
      nextPoll += pollEvery;
    }
    // A second of sound ahead, in blocks of a fiftieth.
    while (due0 + (written * 1000) / roomRate < rendered + 1_000) {
      const at = due0 + (written * 1000) / roomRate;
      if (!gone(rendered) && at > rendered) steering.add(at, [Float32Array.from({ length: 960 }, (_, i) => sound(written + i))]);
      written += 960;
    }
    steering.render(out, frame, roomRate);
    for (const v of out[0] ?? []) heard.push(v);
    speeds.push(steering.faster);
    // What sounds at t is off by what it was told to be off, and by how wrong that is.
    const after = 40 + (frame + block) / ((roomRate / 1000) * (1 + w.dacPpm * 1e-6));
    const shouldBe = ((after - due0) * roomRate) / 1000;
    offs.push({ t, us: steering.sounding ? ((shouldBe - steering.at) / roomRate) * 1e6 : NaN, sounding: steering.sounding });
    frame += block;
  }
  return { offs, heard, speeds };
}

const settled = (offs: readonly { t: number; us: number }[], after: number): number[] => offs.filter((o) => o.t > after * 1000 && !Number.isNaN(o.us)).map((o) => Math.abs(o.us));

describe("a member in virtual time", () => {
  const worlds: [string, Partial<World>][] = [
    ["a quiet network", { jitterMs: 0, dacPpm: 0 }],
    ["jitter of 2 ms, a fast sound card", { jitterMs: 2, dacPpm: 100 }],
    ["jitter of 10 ms, a slow sound card", { jitterMs: 10, dacPpm: -100 }],
    ["jitter of 20 ms, a fast sound card and a slow clock", { jitterMs: 20, dacPpm: 100, clockPpm: -50 }],
    ["jitter of 20 ms, a slow sound card and a fast clock", { jitterMs: 20, dacPpm: -100, clockPpm: 50 }],
  ];
  test.each(worlds)("%s: p99 within 100 µs, speed within a thousandth", (_name, part) => {
    const { offs, speeds } = live({ seed: 1, clockPpm: 20, dacPpm: 0, baseMs: 1, jitterMs: 0, stampMs: 1, seconds: 180, silent: true, ...part }, () => 0);
    expect(Math.max(...speeds.map(Math.abs))).toBeLessThanOrEqual(maxSpeed * 1.0001);
    // The sound begins with the first sample that is due once the lines are there.
    expect(offs.find((o) => o.sounding)?.t).toBeLessThanOrEqual(700);
    const all = settled(offs, 120);
    expect(percentile(all, 0.99)).toBeLessThanOrEqual(100);
  });

  test("no click: a tone stays a tone while the speed changes, through a loss of 2 s, and in step after it", () => {
    const tone = (n: number) => 0.5 * Math.sin((2 * Math.PI * 440 * n) / roomRate);
    const { offs, heard } = live({ seed: 7, clockPpm: 20, dacPpm: 80, baseMs: 2, jitterMs: 5, stampMs: 1, seconds: 20, away: [8, 11] }, tone);
    // A click is a bend that no tone of this pitch and no fade of 5 ms has.
    const bend = 0.5 * ((2 * Math.PI * 440) / roomRate) ** 2;
    let sharpest = 0;
    for (let i = 2; i < heard.length; i++) sharpest = Math.max(sharpest, Math.abs((heard[i] ?? 0) - 2 * (heard[i - 1] ?? 0) + (heard[i - 2] ?? 0)));
    expect(sharpest).toBeLessThan(2.5 * bend + 2 / 256 / 64);
    const silent = offs.filter((o) => o.t > 9_500 && o.t < 10_500);
    expect(silent.every((o) => !o.sounding)).toBe(true);
    const back = offs.filter((o) => o.t > 13_000 && o.t < 14_000);
    expect(back.every((o) => o.sounding)).toBe(true);
    expect(Math.max(...back.map((o) => Math.abs(o.us)))).toBeLessThan(1_000);
  });
});

test("between samples a tone is itself, up to 20 kHz", () => {
  for (const hz of [100, 997, 10_000, 18_000, 20_000]) {
    const tone = (n: number) => Math.sin((2 * Math.PI * hz * n) / roomRate);
    const ring = new Ring(1, 4096);
    ring.write(0, [Float32Array.from({ length: 2000 }, (_, n) => tone(n))]);
    const one = new Float32Array(1);
    let [worst] = [0];
    for (let i = 0; i < 500; i++) {
      const place = 500 + i * 1.00037;
      ring.read(place, one);
      worst = Math.max(worst, Math.abs((one[0] ?? 0) - tone(place)));
    }
    expect(20 * Math.log10(worst), `${hz} Hz`).toBeLessThan(-80);
  }
});

test("a gap is silence that is faded into and out of, and what came before it stays", () => {
  const ring = new Ring(1, 1024);
  ring.write(10, [new Float32Array(100).fill(1)]);
  ring.write(210, [new Float32Array(100).fill(1)]);
  expect([ring.run(0), ring.run(10), ring.run(100), ring.run(150), ring.run(210), ring.run(300)]).toEqual([-1, 100, 10, -1, 100, 10]);
  ring.write(250, [new Float32Array(100).fill(1)]); // the first 60 are there already
  expect(ring.to).toBe(350);
});

test.each([
  [0.1, 10],
  [12, 25],
])("an output that changes its mind by 80 ms, and whose readings are %d ms off, is believed after %d readings", (noise, readings) => {
  const chance = random(3);
  const output = new OutputFilter();
  const read = (i: number, later: number) => {
    output.add(i / 10, 1_000 + i * 100 + later + (chance() * 2 - 1) * noise);
    output.line();
  };
  for (let i = 1; i < 200; i++) read(i, 0);
  for (let i = 200; i < 200 + readings; i++) read(i, 80);
  const line = output.line();
  const at = (200 + readings) / 10;
  expect(line && Math.abs(heardAt(line, at) - (1_000 + at * 1_000 + 80))).toBeLessThan(1 + noise);
});

test("an answer that came before its question is none, and clocks that step are followed", () => {
  const clock = new ClockFilter(0);
  clock.add({ sent: 10, received: 0, answered: 0, heard: 9 });
  expect(clock.line(10)).toBeUndefined();
  for (let t = 0; t < 50; t++) clock.add({ sent: t * 100, received: t * 100 + 501, answered: t * 100 + 501, heard: t * 100 + 2 });
  expect(clock.line(5_000)?.offset).toBeCloseTo(500, 3);
  for (let t = 50; t < 60; t++) clock.add({ sent: t * 100, received: t * 100 + 901, answered: t * 100 + 901, heard: t * 100 + 2 });
  expect(clock.line(6_000)?.offset).toBeCloseTo(900, 0);
});
