import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { checkAccessibility } from "./fixtures";
import { credentials, type Server, startServer } from "./server";

/** A library whose tags want mending. */
async function messy(music: string): Promise<void> {
  const songs: [owner: string, album: string, artist: string, title: string][] = [
    ["Ada Byrd", "Songs", "Ada Byrd", "Morning"],
    ["Ada Byrd", "Songs", "Ada Byrd & Bo Field", "Noon"],
    ["Ada Byrd", "Songs", "Ada Byrd", "Night - 2011 Remaster"],
    ["Bo Field", "Fields", "Bo Field", "Barley"],
    ["Simon & Garfunkel", "Bookends", "Simon & Garfunkel", "Old Friends"],
    ["The Larks", "Nests", "The Larks", "Twig"],
    ["The Larks", "Nests", "The Larks", "Moss"],
    ["Larks", "Wings", "Larks", "Feather"],
  ];
  for (const [i, [owner, album, artist, title]] of songs.entries()) {
    const folder = join(music, owner, album);
    await mkdir(folder, { recursive: true });
    const tags = { album_artist: owner, album, artist, title, genre: "Folk", date: "1999" };
    const { status } = spawnSync("ffmpeg", [
      ...["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", `sine=f=${300 + 40 * i}:d=${(1 + i / 4).toFixed(2)}`, "-c:a", "flac"],
      ...Object.entries(tags).flatMap(([k, v]) => ["-metadata", `${k}=${v}`]),
      join(folder, `${i}.flac`),
    ]);
    expect(status).toBe(0);
  }
}

test("what tags get wrong is suggested, accepted, edited, rejected and taken back", async ({ page }, info) => {
  test.slow();
  const server: Server = await startServer(messy);
  try {
    expect((await page.request.post(`${server.url}/api/v1/session`, { data: credentials, headers: { "Sec-Fetch-Site": "same-origin" } })).status()).toBe(201);
    const looked = async () => ((await (await page.request.get(`${server.url}/api/v1/suggestions`)).json()) as { total: number; looked?: string }).total;
    await expect.poll(looked, { timeout: 60_000 }).toBe(3);
    await page.goto(`${server.url}/settings/library`);
    await page.getByRole("link", { name: "Tidy up tags" }).click();
    const list = page.getByRole("list", { name: "Suggestions" });
    const rows = list.locator(":scope > li");
    await expect(rows).toHaveCount(3);
    await expect(rows.filter({ hasText: "Simon" })).toHaveCount(0);
    await checkAccessibility(page, "the suggestions");
    await page.screenshot({ path: info.outputPath("review.png") });

    // Accepted, two artists are shown; taken back, one.
    const artists = async () => ((await (await page.request.get(`${server.url}/api/v1/artists`)).json()) as { items: { name: string }[] }).items.map((a) => a.name);
    expect(await artists()).toContain("Ada Byrd & Bo Field");
    await page.getByRole("button", { name: "Accept the suggestion for Ada Byrd & Bo Field" }).click();
    await expect(rows).toHaveCount(2);
    expect(await artists()).not.toContain("Ada Byrd & Bo Field");
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(rows).toHaveCount(3);
    expect(await artists()).toContain("Ada Byrd & Bo Field");

    // Edited.
    await page.getByRole("button", { name: "Edit the suggestion for Larks", exact: true }).click();
    await page.getByRole("dialog").getByLabel("Artist").fill("Skylarks");
    await page.getByRole("dialog").getByRole("button", { name: "Accept" }).click();
    await expect(rows).toHaveCount(2);
    expect(await artists()).toContain("Skylarks");

    // By keyboard: the first is rejected, the other accepted.
    await rows.first().focus();
    await page.keyboard.press("ArrowDown");
    await expect(rows.nth(1)).toBeFocused();
    await page.keyboard.press("ArrowUp");
    await expect(rows.first()).toBeFocused();
    await page.keyboard.press("r");
    await expect(rows).toHaveCount(1);
    await expect(rows.first()).toBeFocused();
    await page.keyboard.press("a");
    await expect(page.getByRole("heading", { name: "Nothing to tidy up" })).toBeVisible();

    // All of it is kept, and taken back at once.
    await page.getByRole("radio", { name: "Decided" }).check();
    await expect(rows).toHaveCount(3);
    await page.getByRole("button", { name: "Select all 3" }).click();
    await page.getByRole("button", { name: "Take back", exact: true }).first().click();
    await expect(page.getByRole("heading", { name: "Nothing decided yet" })).toBeVisible();
    expect((await artists()).toSorted()).toEqual(["Ada Byrd", "Ada Byrd & Bo Field", "Bo Field", "Larks", "Simon & Garfunkel", "The Larks"]);
  } finally {
    await server.stop();
  }
});
