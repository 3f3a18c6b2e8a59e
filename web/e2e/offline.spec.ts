import { join } from "node:path";
import type { Page } from "@playwright/test";
import { albumLink, checkAccessibility, expect, openAlbum, player, position, returning, shots, signIn, test } from "./fixtures";

test.use({ serviceWorkers: "allow" });

/** Waits until the service worker answers for the page. */
const underWorker = (page: Page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

test("can be installed", async ({ page }) => {
  await page.goto("/");
  const address = await page.locator('link[rel="manifest"]').getAttribute("href");
  const response = await page.request.get(address ?? "");
  expect(response.headers()["content-type"]).toBe("application/manifest+json");
  const manifest = (await response.json()) as { display: string; icons: { src: string; sizes: string; purpose: string; type: string }[] };
  expect(manifest.display).toBe("standalone");
  expect(manifest.icons.map((i) => `${i.sizes} ${i.purpose}`)).toEqual(["any any", "192x192 any", "512x512 any", "512x512 maskable"]);
  for (const icon of manifest.icons) {
    const picture = await page.request.get(new URL(icon.src, response.url()).href);
    expect(picture.headers()["content-type"], icon.src).toBe(icon.type);
    const size = Number.parseInt(icon.sizes);
    // A PNG's width stands after the signature and the header of its first chunk (PNG, §11.2.1).
    if (icon.type === "image/png") expect((await picture.body()).readUInt32BE(16)).toBe(size);
  }
  // Chromium's own word on what stands in the way of installing.
  const devtools = await page.context().newCDPSession(page);
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  expect(installabilityErrors.map((e) => e.errorId).filter((e) => e !== "in-incognito")).toEqual([]);
});

test("keeps an album, and plays it without a connection", async ({ page, context, account }) => {
  test.slow();
  await returning(context, account);
  await page.goto("/");
  await underWorker(page);
  await openAlbum(page, "Elevation");
  await page.getByRole("button", { name: "Keep Elevation for offline" }).click();
  await expect(page.getByText("“Elevation” is kept on this device")).toBeVisible();
  await page.goto("/offline");
  await expect(page.getByText("1 album plays without a connection")).toBeVisible();
  await expect(page.getByRole("meter", { name: "Room on this device" })).toBeVisible();
  await checkAccessibility(page, "kept");
  await page.screenshot({ path: join(shots, "offline-desktop-dark.png") });

  // A track is answered from the device, in ranges as players ask for them.
  const parts = await page.evaluate(async () => {
    const { tracks } = (await (await fetch("/api/v1/search?q=Mezzanine")).json()) as { tracks: { id: string; size: number }[] };
    const track = tracks[0];
    if (track === undefined) throw new Error("there is no such track");
    const url = `/api/v1/tracks/${track.id}/stream?format=raw`;
    const whole = await fetch(url);
    const etag = whole.headers.get("ETag") ?? "";
    const all = new Uint8Array(await whole.arrayBuffer());
    const range = await fetch(url, { headers: { Range: "bytes=100-199", "If-Match": etag } });
    const some = new Uint8Array(await range.arrayBuffer());
    const other = await fetch(url, { headers: { Range: "bytes=0-1", "If-Match": '"another"' } });
    const beyond = await fetch(url, { headers: { Range: `bytes=${track.size}-` } });
    return {
      status: [whole.status, range.status, other.status, beyond.status],
      size: all.length === track.size,
      same: some.every((b, i) => b === all[100 + i]) && some.length === 100,
      contentRange: range.headers.get("Content-Range") === `bytes 100-199/${track.size}`,
    };
  });
  expect(parts).toEqual({ status: [200, 206, 412, 416], size: true, same: true, contentRange: true });

  await context.setOffline(true);
  await page.goto("/offline");
  await expect(page.getByText("You are offline")).toBeVisible();
  await page.getByRole("link", { name: "Elevation" }).click();
  await expect(page.getByRole("heading", { name: "Elevation", level: 1 })).toBeVisible();
  await page.getByRole("button", { name: "Play", exact: true }).first().click();
  await expect(player(page).getByRole("button", { name: "Pause" })).toBeVisible();
  await expect(player(page)).toContainText("Ground");
  await expect.poll(() => position(page)).toBeGreaterThan(1_000);
  await player(page).getByRole("slider", { name: "Position" }).fill("15000");
  await expect.poll(() => position(page)).toBeGreaterThan(15_500);
  await page.screenshot({ path: join(shots, "offline-album-desktop-dark.png") });

  // What was neither kept nor seen says why it is not there.
  await page.goto("/folders");
  await expect(page.getByRole("heading", { name: "No connection" })).toBeVisible();

  await context.setOffline(false);
  await page.goto("/offline");
  await page.getByRole("button", { name: "Take Elevation from this device" }).click();
  await expect(page.getByRole("heading", { name: "Nothing is kept yet" })).toBeVisible();
  const left = await page.evaluate(async () => {
    const name = (await caches.keys()).find((n) => n.startsWith("tutti-kept-"));
    return name === undefined ? [] : (await (await caches.open(name)).keys()).map((k) => k.url);
  });
  expect(left).toEqual([]);
});

test("opens without a connection and shows what was seen, but not to somebody else", async ({ page, context, account }) => {
  await signIn(page, account); // a session of its own, since it ends here
  await underWorker(page);
  await page.goto("/albums?order=alphabeticalByName");
  await expect(albumLink(page, "Brutal, Tender")).toBeVisible();
  await context.setOffline(true);
  await page.reload();
  await expect(albumLink(page, "Brutal, Tender")).toBeVisible();
  await expect(page.getByText("You are offline")).toBeVisible();
  await context.setOffline(false);
  await expect(page.getByText("You are offline")).toBeHidden();

  await page.goto("/settings/account");
  await page.getByRole("button", { name: "Sign out", exact: true }).first().click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect.poll(() => page.evaluate(async () => (await caches.keys()).filter((n) => !n.startsWith("tutti-shell-")))).toEqual([]);
  await context.setOffline(true);
  await page.reload();
  await expect(page.getByRole("heading", { name: "No connection" })).toBeVisible();
  await expect(albumLink(page, "Brutal, Tender")).toHaveCount(0);
  await context.setOffline(false);
});

test("forgets what was seen when the server ends the session", async ({ page, context, account }) => {
  await signIn(page, account);
  await underWorker(page);
  await page.goto("/albums?order=alphabeticalByName");
  await expect(albumLink(page, "Brutal, Tender")).toBeVisible();
  await expect.poll(() => page.evaluate(() => caches.keys())).toContainEqual(expect.stringMatching(/^tutti-seen-/));
  expect((await context.request.delete("/api/v1/session")).status()).toBe(204);
  await page.getByRole("link", { name: "Artists", exact: true }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect.poll(() => page.evaluate(async () => (await caches.keys()).filter((n) => !n.startsWith("tutti-shell-")))).toEqual([]);
});
