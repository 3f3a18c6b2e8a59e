import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, test as base } from "./fixtures";
import { cutAlbum, lag, record, type Recording } from "./recording";
import { type Proxy, startProxy } from "./proxy";
import { credentials, startServer } from "./server";

/** Where the tracks of an album begin that was cut from one recording, in frames: nowhere that a codec's frames do. */
const starts = [0, 117_001, 229_777];
const tape = record(44_100, 8);
const tape48 = record(48_000, 8);
const albums: readonly (readonly [name: string, format: string, tape: Recording])[] = [
  ["Cut FLAC", "flac", tape],
  ["Cut WAV", "wav", tape],
  ["Cut MP3", "mp3", tape],
  ["Cut Opus", "opus", tape48],
  ["Cut Vorbis", "ogg", tape],
  ["Cut AAC", "m4a", tape],
];

const test = base.extend<{ listening: Page }, { server: Proxy }>({
  server: [
    async ({}, use) => {
      const server = await startServer(async (music) => {
        for (const [name, format, rec] of albums) await cutAlbum(music, name, format, rec, starts);
        await cutAlbum(music, "Long FLAC", "flac", record(44_100, 150), [0]);
        await cutAlbum(music, "Long ALAC", "alac", record(44_100, 40), [0]);
        await cutAlbum(music, "Quiet", "flac", record(44_100, 6), [0], ["-metadata", "REPLAYGAIN_TRACK_GAIN=-6.02 dB", "-metadata", "REPLAYGAIN_TRACK_PEAK=0.6"]);
        await cutAlbum(music, join("Singles"), "flac", record(44_100, 5), [0], ["-metadata", "album=One"]);
      });
      const proxy = await startProxy(server.url, { "/recorder.js": recorder });
      await use(proxy);
      await proxy.stop();
      await server.stop();
    },
    { scope: "worker" },
  ],
  /** A page that is signed in, and whose sound is recorded where it leaves for the loudspeakers. */
  listening: async ({ page, server }, use) => {
    await page.addInitScript(tap);
    await page.request.post(`${server.url}/api/v1/session`, { data: credentials });
    await use(page);
  },
});

/** An audio worklet that keeps what goes through it. */
const recorder = `
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length > 0) this.port.postMessage([currentTime, ...input.map((p) => p.slice())]);
    return true;
  }
});`;

interface Tape {
  rate: number;
  blocks: [number, ...Float32Array[]][];
  /** When a person pressed, and when the first sample that is not silence left, both in ms of the page. */
  first: number;
}

/** Runs in the page before its scripts: whatever is connected to the loudspeakers is recorded, too. */
function tap(): void {
  const all: Tape[] = [];
  (window as unknown as { tapes: Tape[] }).tapes = all;
  const connect = Object.getOwnPropertyDescriptor(AudioNode.prototype, "connect")?.value as (this: AudioNode, to: AudioNode, ...rest: number[]) => AudioNode;
  AudioNode.prototype.connect = function (this: AudioNode, to: AudioNode, ...rest: number[]) {
    if (to instanceof AudioDestinationNode) {
      const context = to.context as AudioContext;
      const kept: Tape = { rate: context.sampleRate, blocks: [], first: 0 };
      all.push(kept);
      const recording = context.audioWorklet.addModule("/recorder.js").then(() => {
        const node = new AudioWorkletNode(context, "recorder");
        node.port.onmessage = (e: MessageEvent<[number, ...Float32Array[]]>) => {
          if (kept.first === 0 && e.data[1]?.some((v) => v !== 0)) kept.first = performance.now();
          if (kept.first !== 0) kept.blocks.push(e.data);
        };
        connect.call(this, node);
        connect.call(node, to);
      });
      recording.catch(() => undefined); // the page may close it before
      // What plays is loaded when what records is in place.
      const { audioWorklet } = context;
      const load = audioWorklet.addModule.bind(audioWorklet);
      audioWorklet.addModule = (url) => recording.then(() => load(url));
    }
    return connect.call(this, to, ...rest);
  } as typeof AudioNode.prototype.connect;
}

/** What was recorded of the last AudioContext, from the first sample that is not silence on. */
async function heard(page: Page): Promise<{ rate: number; left: Float32Array; right: Float32Array }> {
  const got = await page.evaluate(() => {
    const kept = (window as unknown as { tapes: Tape[] }).tapes.at(-1);
    if (kept === undefined) return undefined;
    const plane = (c: number) => {
      const out = new Float32Array(kept.blocks.length * 128);
      kept.blocks.forEach((b, i) => out.set((b[c] ?? b[1]) as Float32Array, i * 128));
      let text = "";
      const bytes = new Uint8Array(out.buffer);
      for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
      return btoa(text);
    };
    return { rate: kept.rate, left: plane(1), right: plane(2) };
  });
  if (got === undefined) throw new Error("nothing was recorded");
  const floats = (text: string) => {
    const b = Buffer.from(text, "base64");
    return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.length));
  };
  const [left, right] = [floats(got.left), floats(got.right)];
  let first = left.findIndex((v) => v !== 0);
  const r = right.findIndex((v) => v !== 0);
  first = first < 0 ? 0 : r >= 0 ? Math.min(first, r) : first;
  let last = left.length;
  while (last > first && left[last - 1] === 0 && right[last - 1] === 0) last--;
  return { rate: got.rate, left: left.subarray(first, last), right: right.subarray(first, last) };
}

async function play(page: Page, server: Proxy, album: string): Promise<void> {
  await page.goto(`${server.url}/search?q=${encodeURIComponent(album)}`);
  await page.getByRole("link", { name: album, exact: true }).first().click();
  await expect(page.getByRole("heading", { name: album, level: 1 })).toBeVisible();
  await page.getByRole("button", { name: "Play", exact: true }).first().click();
}

const bar = (page: Page) => page.getByRole("region", { name: "Player" });
const stopped = (page: Page) => expect(bar(page).getByRole("button", { name: "Play", exact: true })).toBeVisible({ timeout: 30_000 });

for (const [album, format, rec] of albums) {
  test(`plays an album cut from one recording as the recording: ${format}`, async ({ listening: page, server }) => {
    await play(page, server, album);
    await stopped(page);
    const sound = await heard(page);
    expect(sound.rate).toBe(rec.rate);
    const frames = rec.samples.length / 2;
    const plane = (c: number) => Float32Array.from({ length: frames }, (_, i) => (rec.samples[2 * i + c] ?? 0) / 32768);
    const [left, right] = [plane(0), plane(1)];
    if (format === "flac" || format === "wav") {
      expect(sound.left.length).toBe(frames);
      expect(Buffer.compare(Buffer.from(sound.left.slice().buffer), Buffer.from(left.buffer))).toBe(0);
      expect(Buffer.compare(Buffer.from(sound.right.slice().buffer), Buffer.from(right.buffer))).toBe(0);
      return;
    }
    // A lossy codec may begin or end a track with a few zeros of its own, which the recording cannot tell from silence.
    expect(Math.abs(sound.left.length - frames)).toBeLessThan(8);
    for (const [i, from] of starts.entries()) {
      const to = starts[i + 1] ?? frames;
      for (const [h, s] of [[sound.left, left], [sound.right, right]] as const) {
        const at = lag(h.subarray(from, from + 20_000), s.subarray(from, from + 20_000), 300);
        expect(at.frames, `track ${i + 1}, its beginning`).toBe(0);
        expect(at.likeness).toBeGreaterThan(0.97);
        const end = lag(h.subarray(to - 20_000, to), s.subarray(to - 20_000, to), 300);
        expect(end.frames, `track ${i + 1}, its end`).toBe(0);
        expect(end.likeness).toBeGreaterThan(0.97);
      }
    }
  });
}

const slider = (page: Page) => bar(page).getByRole("slider", { name: "Position" });
const position = async (page: Page) => Number(await slider(page).inputValue());

/** How loud it is: the root of the mean square. */
const level = (samples: Float32Array) => Math.sqrt(samples.reduce((sum, v) => sum + v * v, 0) / Math.max(1, samples.length));

/** The greatest step from one sample to the next. */
const step = (samples: Float32Array) => samples.reduce((most, v, i) => Math.max(most, i === 0 ? 0 : Math.abs(v - (samples[i - 1] ?? 0))), 0);

test("goes where it is told, to the sample", async ({ listening: page, server }) => {
  await play(page, server, "Long FLAC");
  await expect.poll(() => position(page)).toBeGreaterThan(300);
  await slider(page).fill("140000");
  await expect.poll(() => position(page)).toBeGreaterThan(140_300);
  await stopped(page);
  const sound = await heard(page);
  // The end of what was heard is the end of the track, bit for bit: everything between has kept its place.
  const rec = record(44_100, 150);
  const frames = 9 * 44_100;
  const end = sound.left.subarray(sound.left.length - frames);
  const said = Float32Array.from({ length: frames }, (_, i) => (rec.samples[rec.samples.length - 2 * frames + 2 * i] ?? 0) / 32768);
  expect(Buffer.compare(Buffer.from(end.slice().buffer), Buffer.from(said.buffer))).toBe(0);
  // It was fetched in ranges, and what lies between was not.
  const ranges = server.seen.filter((r) => r.path.includes("/stream")).map((r) => r.range);
  expect(ranges.length).toBeGreaterThan(1);
  expect(ranges.every((r) => /^bytes=\d+-\d+$/.test(r))).toBe(true);
});

test("plays what the browser cannot, converted without loss, and goes where it is told while that is being made", async ({ listening: page, server }) => {
  await play(page, server, "Long ALAC");
  await expect.poll(() => position(page)).toBeGreaterThan(300);
  await slider(page).fill("36000");
  await expect.poll(() => position(page)).toBeGreaterThan(36_300);
  await stopped(page);
  const sound = await heard(page);
  const rec = record(44_100, 40);
  const frames = 2 * 44_100;
  const end = sound.left.subarray(sound.left.length - frames);
  const said = Float32Array.from({ length: frames }, (_, i) => (rec.samples[rec.samples.length - 2 * frames + 2 * i] ?? 0) / 32768);
  expect(Buffer.compare(Buffer.from(end.slice().buffer), Buffer.from(said.buffer))).toBe(0);
});

test("plays on through a lost connection, from the byte reached", async ({ listening: page, server }) => {
  server.pace(150_000);
  await play(page, server, "Cut FLAC");
  await expect.poll(() => position(page)).toBeGreaterThan(500);
  server.cut();
  await page.waitForTimeout(700); // as long as the connection is gone
  server.pace(0);
  server.mend();
  await stopped(page);
  const sound = await heard(page);
  const frames = tape.samples.length / 2;
  const left = Float32Array.from({ length: frames }, (_, i) => (tape.samples[2 * i] ?? 0) / 32768);
  // Where the buffer lasted it is the recording, bit for bit; where it did not there is a pause with soft edges in it.
  const tail = 60_000;
  expect(Buffer.compare(Buffer.from(sound.left.slice(sound.left.length - tail).buffer), Buffer.from(left.slice(frames - tail).buffer))).toBe(0);
  expect(step(sound.left)).toBeLessThanOrEqual(step(left) + 1e-6);
});

test("keeps no more than a minute of decoded sound", async ({ listening: page, server }) => {
  const before = server.seen.length;
  await play(page, server, "Long FLAC");
  await expect.poll(() => position(page)).toBeGreaterThan(2_000);
  const buffered = await page.evaluate(() => (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize);
  expect(buffered).toBeLessThan(150e6);
  // What was fetched is what a minute needs, not the file: the server was asked for its beginning only.
  const last = server.seen.slice(before).filter((r) => r.path.includes("/stream")).map((r) => Number(/-(\d+)$/.exec(r.range)?.[1] ?? 0));
  const fetched = Math.max(...last);
  expect(fetched).toBeLessThan(14e6);
  expect(fetched).toBeGreaterThan(2e6);
});

test("sounds soon after play is pressed", async ({ listening: page, server }) => {
  await page.addInitScript(() => {
    addEventListener("pointerdown", () => ((window as unknown as { pressed: number }).pressed = performance.now()), { capture: true });
  });
  const took: number[] = [];
  for (let i = 0; i < 7; i++) {
    await page.goto(`${server.url}/search?q=Cut%20FLAC`);
    await page.getByRole("link", { name: "Cut FLAC", exact: true }).first().click();
    const button = page.getByRole("button", { name: "Play", exact: true }).first();
    await button.waitFor();
    await page.waitForTimeout(500); // a person reads the page first
    await button.click();
    await expect.poll(() => page.evaluate(() => (window as unknown as { tapes: Tape[] }).tapes[0]?.first ?? 0)).toBeGreaterThan(0);
    took.push(await page.evaluate(() => ((window as unknown as { tapes: Tape[] }).tapes[0]?.first ?? 0) - (window as unknown as { pressed: number }).pressed));
  }
  took.sort((a, b) => a - b);
  const median = took[3] ?? Infinity;
  test.info().annotations.push({ type: "press play to sound, ms", description: `p50 ${median.toFixed(0)} of ${took.map((v) => v.toFixed(0)).join(" ")}` });
  process.stdout.write(`    press play to sound: p50 ${median.toFixed(0)} ms (${took.map((v) => v.toFixed(0)).join(", ")})\n`);
  // On a machine that does other things, too, this says how busy it is: the goal of 150 ms counts where it is asked for.
  expect(median).toBeLessThan(Number(process.env.TUTTI_PLAY_MS ?? 2_000));
});

test("evens out loudness by the tags, and leaves it where that is off", async ({ listening: page, server }) => {
  await play(page, server, "Quiet");
  await stopped(page);
  const evened = await heard(page);
  const rec = record(44_100, 6);
  const left = Float32Array.from({ length: rec.samples.length / 2 }, (_, i) => (rec.samples[2 * i] ?? 0) / 32768);
  expect(evened.left.length).toBe(left.length);
  expect(20 * Math.log10(level(evened.left) / level(left))).toBeCloseTo(-6.02, 2);
  await page.evaluate(() => localStorage.setItem("tutti.sound", '{"gain":"off"}'));
  await play(page, server, "Quiet");
  await stopped(page);
  expect(level((await heard(page)).left)).toBeCloseTo(level(left), 6);
});

test("overlaps tracks where that is asked for, but not within an album", async ({ listening: page, server }) => {
  await page.addInitScript(() => localStorage.setItem("tutti.sound", '{"gain":"off","crossfadeMs":2000}'));
  await play(page, server, "Quiet");
  await bar(page).getByRole("button", { name: "Pause" }).click();
  await page.getByRole("searchbox", { name: "Search the library" }).fill("One");
  await page.getByRole("link", { name: "One", exact: true }).first().click();
  await expect(page.getByRole("heading", { name: "One", level: 1 })).toBeVisible();
  await page.getByRole("button", { name: "Add Singles 1 to the queue" }).click();
  await bar(page).getByRole("button", { name: "Play", exact: true }).click();
  await expect(bar(page)).toContainText("Singles 1", { timeout: 20_000 });
  await stopped(page);
  // Six seconds and five that share two.
  const both = (await heard(page)).left.filter((v) => v !== 0).length; // the pause was recorded, too
  expect(Math.abs(both - 9 * 44_100)).toBeLessThan(600);
  await play(page, server, "Cut FLAC");
  await stopped(page);
  expect((await heard(page)).left.length).toBe(tape.samples.length / 2);
});
