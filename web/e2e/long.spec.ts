import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "@playwright/test";
import { expect, player, position, test } from "./fixtures";
import { credentials, startServer } from "./server";

const run = promisify(execFile);
const hours = 2;

/** Two hours in one file: a minute of sound, over and over, as it is encoded. */
async function writeMix(music: string): Promise<void> {
  const folder = join(music, "Mix");
  await mkdir(folder);
  const minute = join(music, "..", "minute.mp3");
  const quiet = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y"];
  await run("ffmpeg", [...quiet, "-f", "lavfi", "-i", "anoisesrc=c=pink:r=44100:d=60:a=0.3", "-ac", "2", "-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", minute]);
  const tags = ["-metadata", "title=All Night Long", "-metadata", "artist=North Pier", "-metadata", "album=Mix"];
  await run("ffmpeg", [...quiet, "-stream_loop", String(hours * 60 - 1), "-i", minute, "-c", "copy", ...tags, join(folder, "mix.mp3")]);
}

/**
 * Memory that the page's process alone holds, in bytes: scripts, worker, audio thread, decoder and all that the browser
 * keeps for them (Private_Clean and Private_Dirty of proc(5), smaps_rollup).
 */
async function held(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  let most = 0;
  for (const p of processInfo.filter((x) => x.type === "renderer")) {
    const text = await readFile(`/proc/${p.id}/smaps_rollup`, "utf8");
    const kilobytes = [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
    most = Math.max(most, kilobytes * 1024);
  }
  return most;
}

/** Waits until music has gone on for a while without a pause, and says how long it took to begin, in ms. */
async function goesOn(page: Page, fromMs: number): Promise<number> {
  const begun = Date.now();
  await expect.poll(() => position(page), { intervals: [50] }).toBeGreaterThan(fromMs + 200);
  const took = Date.now() - begun;
  await expect.poll(() => position(page)).toBeGreaterThan(fromMs + 3_000);
  return took;
}

test("a mix of two hours goes on wherever one goes in it, and does not fill the memory", async ({ page, browser }) => {
  test.setTimeout(180_000);
  const server = await startServer(writeMix);
  try {
    await page.request.post(`${server.url}/api/v1/session`, { data: credentials });
    await page.goto(`${server.url}/search?q=mix`);
    await page.getByRole("link", { name: "Mix", exact: true }).first().click();
    await expect(page.getByRole("heading", { name: "Mix", level: 1 })).toBeVisible();
    const before = await held(browser);
    await page.getByRole("button", { name: "Play", exact: true }).first().click();
    const waits = [await goesOn(page, 0)];
    let most = await held(browser);
    expect(most).toBeLessThan(150e6);
    for (const minute of [7, 100, 31, 118, 64]) {
      await player(page).getByRole("slider", { name: "Position" }).fill(String(minute * 60_000));
      waits.push(await goesOn(page, minute * 60_000));
      most = Math.max(most, await held(browser));
    }
    const mb = (bytes: number) => (bytes / 1e6).toFixed(0);
    process.stdout.write(`    two hours: ${mb(before)} MB before, ${mb(most)} MB at most; sound after ${waits.join(", ")} ms\n`);
    // The page itself, what is decoded and fetched ahead; what a seek left behind is collected in a while.
    await expect.poll(() => held(browser), { timeout: 30_000 }).toBeLessThan(150e6);
  } finally {
    await server.stop();
  }
});
