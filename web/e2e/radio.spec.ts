import { spawn, spawnSync } from "node:child_process";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "@playwright/test";
import { credentials, startServer } from "./server";

const frequency = 660;
/** Bytes of sound between two words of the station about what it plays. */
const interval = 4_000;

/** A block of metadata within a stream: a byte that says how many times 16 bytes follow, padded with zeros. */
function block(title: string): Buffer {
  const text = Buffer.from(title === "" ? "" : `StreamTitle='${title}';`);
  const b = Buffer.alloc(1 + Math.ceil(text.length / 16) * 16);
  b[0] = (b.length - 1) / 16;
  text.copy(b, 1);
  return b;
}

/** A station that plays a tone and says so, at the pace of a real one. */
async function startStation(say: () => string): Promise<{ url: string; stop: () => Promise<void> }> {
  const tone = ["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", `sine=f=${frequency}:r=44100:d=3600`, "-ac", "2", "-b:a", "128k", "-write_xing", "0", "-f", "mp3"];
  // The first seconds are there at once, as stations send them.
  const burst = spawnSync("ffmpeg", [...tone, "-t", "3", "-"]).stdout;
  const server: HttpServer = createServer((req, res) => {
    const titled = req.headers["icy-metadata"] === "1";
    res.writeHead(200, { "Content-Type": "audio/mpeg", "icy-name": "Harbour FM", ...(titled ? { "icy-metaint": String(interval) } : {}) });
    let until = interval;
    const write = (sound: Buffer) => {
      for (let rest = sound; rest.length > 0; ) {
        const part = titled ? rest.subarray(0, until) : rest;
        res.write(part);
        rest = rest.subarray(part.length);
        until -= part.length;
        if (titled && until === 0) {
          res.write(block(say()));
          until = interval;
        }
      }
    };
    write(burst);
    const live = spawn("ffmpeg", ["-re", ...tone, "-"], { stdio: ["ignore", "pipe", "ignore"] });
    live.stdout.on("data", write);
    res.on("close", () => live.kill("SIGKILL"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/live.mp3`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

test("a radio station is heard as it sounds, says what it plays, and ends when it is left", async ({ page }) => {
  test.slow();
  let title = "North Pier - Slack Water";
  const station = await startStation(() => title);
  const server = await startServer(() => Promise.resolve(), ["--radio-private"]);
  try {
    await page.addInitScript(() => {
      const play = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "play")?.value as (this: HTMLMediaElement) => Promise<void>;
      HTMLMediaElement.prototype.play = function (this: HTMLMediaElement) {
        (window as unknown as { heard: HTMLMediaElement }).heard = this;
        return play.call(this);
      };
    });
    await page.goto(server.url);
    await page.getByLabel("Name").fill(credentials.name);
    await page.getByLabel("Password").fill(credentials.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("navigation", { name: "Views" })).toBeVisible();
    const made = await page.request.post(`${server.url}/api/v1/stations`, { data: { name: "Harbour FM", streamUrl: station.url } });
    expect(made.ok()).toBe(true);
    await page.goto(`${server.url}/radio`);
    await page.getByRole("button", { name: "Play Harbour FM" }).click();

    const bar = page.getByRole("region", { name: "Player" });
    await expect(bar).toContainText("Harbour FM");
    await expect(page.getByText("North Pier - Slack Water").first()).toBeVisible();

    /** The strongest frequency of what the element plays, in Hz; undefined while it is below -60 dB. */
    const tone = () =>
      page.evaluate(async () => {
        const element = (window as unknown as { heard: HTMLMediaElement & { captureStream(): MediaStream } }).heard;
        const context = new AudioContext();
        const analyser = new AnalyserNode(context, { fftSize: 8192 });
        context.createMediaStreamSource(element.captureStream()).connect(analyser);
        await new Promise((resolve) => setTimeout(resolve, 700));
        const bins = new Float32Array(analyser.frequencyBinCount);
        analyser.getFloatFrequencyData(bins);
        const at = bins.reduce((best, v, i) => (v > (bins[best] ?? -Infinity) ? i : best), 0);
        await context.close();
        return (bins[at] ?? -Infinity) > -60 ? (at * context.sampleRate) / analyser.fftSize : undefined;
      });
    await expect.poll(async () => Math.abs(((await tone()) ?? Infinity) - frequency), { timeout: 30_000 }).toBeLessThan(12);

    // Another title reaches who listens, and the tone goes on beyond what a station sends at once.
    title = "North Pier - Outbound";
    await expect(page.getByText("North Pier - Outbound").first()).toBeVisible({ timeout: 20_000 });
    const time = () => page.evaluate(() => (window as unknown as { heard: HTMLMediaElement }).heard.currentTime);
    await expect.poll(time, { timeout: 20_000 }).toBeGreaterThan(5);

    await page.getByRole("button", { name: "Stop Harbour FM" }).click();
    await expect(page.getByRole("button", { name: "Play Harbour FM" })).toBeVisible();
    expect(await page.evaluate(() => (window as unknown as { heard: HTMLMediaElement }).heard.paused)).toBe(true);
  } finally {
    await server.stop();
    await station.stop();
  }
});
