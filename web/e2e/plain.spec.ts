import type { Page } from "@playwright/test";
import base from "./playwright.config";
import { expect, test } from "./fixtures";
import { cutAlbum, lag, record, type Recording } from "./recording";
import { credentials, startServer } from "./server";

// By a name, and without encryption: to the browser that is no secure context, as a server in the house is at http://nas:4533.
const host = "tutti.test";
const { launchOptions } = base.use ?? {};
test.use({ launchOptions: { ...launchOptions, args: [...(launchOptions?.args ?? []), `--host-resolver-rules=MAP ${host} 127.0.0.1`] } });

// The second track has the length of the first to get ready in: some seconds, as in any music.
const tape = record(44_100, 5);
const starts = [0, 160_777];

interface Handed {
  at: number;
  late: boolean;
  planes: Float32Array[];
}

/** Runs in the page before its scripts: keeps what is handed to the audio thread, and for when. */
function tap(): void {
  const all: Handed[] = [];
  (window as unknown as { handed: Handed[] }).handed = all;
  const start = Object.getOwnPropertyDescriptor(AudioScheduledSourceNode.prototype, "start")?.value as (this: AudioScheduledSourceNode, when?: number) => void;
  AudioBufferSourceNode.prototype.start = function (this: AudioBufferSourceNode, when = 0) {
    const { buffer, context } = this;
    if (buffer !== null && context instanceof AudioContext) all.push({ at: when, late: when < context.currentTime, planes: Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).slice()) });
    start.call(this, when);
  };
}

/** What that sounds like: the same blocks at the same times, played by the browser as fast as it can. */
async function rendered(page: Page): Promise<{ late: number; left: Float32Array; right: Float32Array }> {
  const got = await page.evaluate(async () => {
    const { handed } = window as unknown as { handed: Handed[] };
    const rate = 44_100;
    const first = handed[0]?.at ?? 0;
    const last = handed.at(-1);
    const offline = new OfflineAudioContext(2, Math.ceil(((last?.at ?? 0) - first + 1) * rate), rate);
    for (const { at, planes } of handed) {
      if (Math.abs(at * rate - Math.round(at * rate)) > 1e-6) throw new Error(`a block begins between two frames: ${at * rate}`);
      const buffer = new AudioBuffer({ length: planes[0]?.length ?? 1, numberOfChannels: 2, sampleRate: rate });
      planes.forEach((p, c) => buffer.copyToChannel(p as Float32Array<ArrayBuffer>, c));
      const node = offline.createBufferSource();
      node.buffer = buffer;
      node.connect(offline.destination);
      // At whole frames, as the page does: between two of them the browser would make samples up.
      node.start((Math.round(at * rate) - Math.round(first * rate)) / rate);
    }
    const out = await offline.startRendering();
    const text = (c: number) => {
      const bytes = new Uint8Array(out.getChannelData(c).buffer);
      let s = "";
      for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192));
      return btoa(s);
    };
    return { late: handed.filter((h) => h.late).length, left: text(0), right: text(1) };
  });
  const floats = (text: string) => {
    const b = Buffer.from(text, "base64");
    return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.length));
  };
  return { late: got.late, left: floats(got.left), right: floats(got.right) };
}

/** The recording's plane, as floats. */
const planeOf = (rec: Recording, c: number) => Float32Array.from({ length: rec.samples.length / 2 }, (_, i) => (rec.samples[2 * i + c] ?? 0) / 32768);

/** Whether nothing at all is heard for a while in the middle: the recording is never as quiet as that. */
function hasHole(heard: Float32Array): boolean {
  let nothing = 0;
  return heard.some((v) => (nothing = v === 0 ? nothing + 1 : 0) > 40);
}

const bar = (page: Page) => page.getByRole("region", { name: "Player" });

test("without https tracks join to the sample all the same, it pauses, and goes where it is told", async ({ page, complaints }) => {
  test.slow();
  const server = await startServer(async (music) => {
    for (const [name, format] of [["Cut FLAC", "flac"], ["Cut MP3", "mp3"]] as const) await cutAlbum(music, name, format, tape, starts);
  });
  try {
    await page.addInitScript(tap);
    const url = `http://${host}:${new URL(server.url).port}`;
    await page.goto(url);
    expect(await page.evaluate(() => [isSecureContext, "AudioDecoder" in window, "audioWorklet" in AudioContext.prototype])).toEqual([false, false, false]);
    await page.getByLabel("Name").fill(credentials.name);
    await page.getByLabel("Password").fill(credentials.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("navigation", { name: "Views" })).toBeVisible();
    const open = async (album: string) => {
      await page.goto(`${url}/search?q=${encodeURIComponent(album)}`);
      await page.getByRole("link", { name: album, exact: true }).first().click();
      await page.getByRole("button", { name: "Play", exact: true }).first().click();
    };
    const stopped = () => expect(bar(page).getByRole("button", { name: "Play", exact: true })).toBeVisible({ timeout: 40_000 });
    const frames = tape.samples.length / 2;
    const [left, right] = [planeOf(tape, 0), planeOf(tape, 1)];

    await open("Cut FLAC");
    // Paused in the middle: what was handed over waits.
    const position = async () => Number(await bar(page).getByRole("slider", { name: "Position" }).inputValue());
    await expect.poll(position).toBeGreaterThan(200);
    await bar(page).getByRole("button", { name: "Pause" }).click();
    await stopped();
    await bar(page).getByRole("button", { name: "Play", exact: true }).click();
    await expect(bar(page).getByRole("button", { name: "Pause" })).toBeVisible();
    await stopped();
    const flac = await rendered(page);
    expect(flac.late).toBe(0);
    // Times are in seconds, so the browser takes some blocks to begin a billionth of a frame late: far below the last bit.
    const differs = (heard: Float32Array, said: Float32Array) => said.findIndex((v, i) => Math.abs(v - (heard[i] ?? 0)) > 1e-9);
    expect([differs(flac.left, left), differs(flac.right, right)]).toEqual([-1, -1]);
    expect(flac.left.slice(frames).every((v) => v === 0)).toBe(true);

    await open("Cut MP3");
    // Where the machine had no time for the page for seconds, what is heard has a hole, and it is played once more. What
    // does not join leaves one every time.
    await stopped();
    let mp3 = await rendered(page);
    for (let again = 0; again < 2 && (mp3.late > 0 || hasHole(mp3.left.subarray(0, frames))); again++) {
      await page.evaluate(() => ((window as unknown as { handed: Handed[] }).handed.length = 0));
      await page.getByRole("button", { name: "Play", exact: true }).first().click();
      await expect(bar(page).getByRole("button", { name: "Pause" })).toBeVisible();
      await stopped();
      mp3 = await rendered(page);
    }
    expect(mp3.late).toBe(0);
    for (const [i, from] of starts.entries()) {
      const to = starts[i + 1] ?? frames;
      expect(lag(mp3.left.subarray(from, from + 20_000), left.subarray(from, from + 20_000), 300).frames, `track ${i + 1}, its beginning`).toBe(0);
      expect(lag(mp3.left.subarray(to - 20_000, to), left.subarray(to - 20_000, to), 300).frames, `track ${i + 1}, its end`).toBe(0);
    }

    // It begins again, and goes where it is told while it waits there.
    await page.getByRole("button", { name: "Play", exact: true }).first().click();
    await bar(page).getByRole("button", { name: "Pause" }).click();
    await stopped();
    await bar(page).getByRole("slider", { name: "Position" }).fill("1000");
    await expect.poll(position).toBe(1_000);
    await bar(page).getByRole("button", { name: "Play", exact: true }).click();
    await expect.poll(async () => (await position()) !== 1_000).toBe(true);
    await stopped();
    // The browser says on every page without https that it does not heed this header there.
    for (const complaint of complaints.splice(0)) expect(complaint).toContain("Cross-Origin-Opener-Policy");
  } finally {
    await server.stop();
  }
});
