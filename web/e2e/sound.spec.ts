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
    }
    return connect.call(this, to, ...rest);
  } as typeof AudioNode.prototype.connect;
}

/** What was recorded of the n-th AudioContext, from the first sample that is not silence on. */
async function heard(page: Page, n = 0): Promise<{ rate: number; left: Float32Array; right: Float32Array }> {
  const got = await page.evaluate((at) => {
    const kept = (window as unknown as { tapes: Tape[] }).tapes[at];
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
  }, n);
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
