import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Locator, Page } from "@playwright/test";
import { checkAccessibility, expect, playAlbum, player, position, queueSaved, returning, shots, test } from "./fixtures";

interface Track {
  id: string;
  title: string;
}

interface Playlist {
  id: string;
  name: string;
  public: boolean;
  comment?: string;
  tracks: Track[];
}

const rows = (list: Locator) => list.getByRole("listitem");
const titles = (list: Locator) => list.locator(".track-title").allTextContents();
const queue = (page: Page) => page.getByRole("region", { name: "Queue" });

async function albumTracks(page: Page, name: string): Promise<Track[]> {
  const found = (await (await page.request.get(`/api/v1/search?q=${encodeURIComponent(name)}`)).json()) as { albums: { id: string }[] };
  const album = (await (await page.request.get(`/api/v1/albums/${found.albums[0]?.id ?? ""}`)).json()) as { tracks: Track[] };
  return album.tracks;
}

async function makePlaylist(page: Page, name: string, albums: readonly string[]): Promise<Playlist> {
  const tracks: string[] = [];
  for (const album of albums) tracks.push(...(await albumTracks(page, album)).map((track) => track.id));
  const made = await page.request.post("/api/v1/playlists", { data: { name, tracks } });
  expect(made.ok()).toBe(true);
  return (await made.json()) as Playlist;
}

const stored = async (page: Page, id: string) => (await (await page.request.get(`/api/v1/playlists/${id}`)).json()) as Playlist;

/** What the server has of a playlist, by title, once the page has sent it. */
const expectStored = (page: Page, id: string, wanted: readonly string[]) => expect.poll(async () => (await stored(page, id)).tracks.map((track) => track.title)).toEqual(wanted);

test("shows what other players do: a new playlist, one more track in it, and the queue until something is played here", async ({ page, context, account }) => {
  await returning(context, account);
  await page.goto("/playlists");
  await expect(page.getByRole("heading", { name: "Playlists", level: 1 })).toBeVisible();
  const { id } = await makePlaylist(page, "From the phone", ["Insert Coin"]);
  await page.getByRole("link", { name: "From the phone", exact: true }).first().click();
  const list = page.getByRole("list", { name: "Tracks of From the phone" });
  await expect(rows(list)).toHaveCount(4);
  const { name, tracks } = await stored(page, id);
  const changed = await page.request.put(`/api/v1/playlists/${id}`, { data: { name, tracks: tracks.slice(1).map((track) => track.id) } });
  expect(changed.ok()).toBe(true);
  await expect(rows(list)).toHaveCount(3);

  const queue = (title: string) => page.request.put("/api/v1/queue", { data: { tracks: tracks.filter((track) => track.title === title).map((track) => track.id), current: 0, player: "phone" } });
  for (const title of ["Attract Mode", tracks[1]?.title ?? ""]) {
    expect((await queue(title)).ok()).toBe(true);
    await expect(player(page)).toContainText(title);
  }
  await list.getByRole("button", { name: `Play ${tracks[2]?.title ?? ""}` }).first().click();
  await expect(player(page)).toContainText(tracks[2]?.title ?? "");
  await page.keyboard.press("Space");
  await queue("Attract Mode");
  await page.waitForTimeout(1_000); // as long as the word of it takes
  await expect(player(page)).toContainText(tracks[2]?.title ?? "");
  await page.request.delete(`/api/v1/playlists/${id}`);
});

test("makes a playlist of the queue, renames it and takes it away again", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Sunday Best");
  await page.goto("/playing");
  await queue(page).getByRole("button", { name: "Save as playlist" }).click();
  const dialog = page.getByRole("dialog", { name: "New playlist" });
  await dialog.getByLabel("Name").fill("Rainy afternoons");
  await dialog.getByLabel("Description").fill("For the window seat");
  await dialog.getByRole("button", { name: "Make playlist" }).click();
  await expect(page.getByText("Made “Rainy afternoons”")).toBeVisible();

  await page.getByRole("link", { name: "Playlists", exact: true }).click();
  await page.getByRole("link", { name: "Rainy afternoons" }).last().click();
  await expect(page.getByRole("heading", { name: "Rainy afternoons", level: 1 })).toBeVisible();
  await expect(page.getByText("For the window seat")).toBeVisible();
  const id = new URL(page.url()).pathname.split("/").at(-1) ?? "";

  await page.getByRole("button", { name: "More for Rainy afternoons" }).click();
  await page.getByRole("menuitem", { name: "Edit details" }).click();
  const edit = page.getByRole("dialog", { name: "Edit details" });
  await edit.getByLabel("Name").fill("Rainy evenings");
  await edit.getByRole("checkbox").check();
  await edit.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Rainy evenings", level: 1 })).toBeVisible();
  const list = await stored(page, id);
  expect([list.name, list.public, list.comment, list.tracks.length]).toEqual(["Rainy evenings", true, "For the window seat", 3]);

  await page.getByRole("button", { name: "More for Rainy evenings" }).click();
  await page.getByRole("menuitem", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("Deleted “Rainy evenings”")).toBeVisible();
  expect((await page.request.get(`/api/v1/playlists/${id}`)).status()).toBe(404);
});

test("puts a playlist in order by keyboard alone, and says what happens", async ({ page, context, account }) => {
  await returning(context, account);
  const { id, name } = await makePlaylist(page, "Keys", ["Insert Coin"]);
  await page.goto(`/playlist/${id}`);
  const list = page.getByRole("list", { name: `Tracks of ${name}` });
  await expect(rows(list)).toHaveCount(4);

  // Lift, move, put down.
  await page.getByRole("button", { name: "Move Attract Mode", exact: true }).focus();
  await page.keyboard.press("Space");
  await expect(page.getByText("Attract Mode lifted, 1 of 4")).toBeAttached();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await expect(page.getByText("3 of 4", { exact: true })).toBeAttached();
  await page.keyboard.press("Space");
  await expect(page.getByText("Attract Mode is now 3 of 4")).toBeAttached();
  await expect(page.getByRole("button", { name: "Move Attract Mode", exact: true })).toBeFocused();
  expect(await titles(list)).toEqual(["High Score", "Continue?", "Attract Mode", "Last Credit"]);
  await expectStored(page, id, ["High Score", "Continue?", "Attract Mode", "Last Credit"]);

  // Thought better of it.
  await page.keyboard.press("Space");
  await page.keyboard.press("Home");
  await page.keyboard.press("Escape");
  await expect(page.getByText("Attract Mode stays 3 of 4")).toBeAttached();
  expect(await titles(list)).toEqual(["High Score", "Continue?", "Attract Mode", "Last Credit"]);

  // At once, from a title; the focus goes with the row.
  await page.getByRole("button", { name: "Play Last Credit by Velvet Arcade" }).focus();
  await page.keyboard.press("Alt+ArrowUp");
  await page.keyboard.press("Alt+ArrowUp");
  await expect(page.getByRole("button", { name: "Play Last Credit by Velvet Arcade" })).toBeFocused();
  await expectStored(page, id, ["High Score", "Last Credit", "Continue?", "Attract Mode"]);

  // Up and down go from row to row, and Delete takes one out, until it is taken back.
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("button", { name: "Play Continue? by Velvet Arcade" })).toBeFocused();
  await page.keyboard.press("Delete");
  await expect(page.getByRole("button", { name: "Play Attract Mode by Velvet Arcade" })).toBeFocused();
  await expectStored(page, id, ["High Score", "Last Credit", "Attract Mode"]);
  await page.getByRole("button", { name: "Undo" }).press("Enter");
  await expectStored(page, id, ["High Score", "Last Credit", "Continue?", "Attract Mode"]);
});

async function drag(page: Page, from: Locator, to: Locator, cancel = false): Promise<void> {
  const a = await from.boundingBox();
  const b = await to.boundingBox();
  if (a === null || b === null) throw new Error("there is nothing to drag");
  await page.mouse.move(a.x + a.width / 2, a.y + a.height / 2);
  await page.mouse.down();
  await page.mouse.move(a.x + a.width / 2, a.y + a.height / 2 + 12, { steps: 3 });
  await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2, { steps: 8 });
  if (cancel) await page.keyboard.press("Escape");
  await page.mouse.up();
}

test("puts a playlist in order by dragging, by two presses, and by sorting", async ({ page, context, account }) => {
  await returning(context, account);
  const { id, name } = await makePlaylist(page, "Mouse", ["Harbour Lights"]);
  await page.goto(`/playlist/${id}`);
  const list = page.getByRole("list", { name: `Tracks of ${name}` });
  await expect(rows(list)).toHaveCount(4);
  const before = ["Slack Water", "Lanterns on the Quay", "Outbound", "The Last Ferry"];

  await drag(page, page.getByRole("button", { name: "Move Slack Water", exact: true }), page.getByRole("button", { name: "Move Outbound", exact: true }), true);
  expect(await titles(list)).toEqual(before);

  await drag(page, page.getByRole("button", { name: "Move Slack Water", exact: true }), page.getByRole("button", { name: "Move Outbound", exact: true }));
  await expectStored(page, id, ["Lanterns on the Quay", "Outbound", "Slack Water", "The Last Ferry"]);
  expect(await titles(list)).toEqual(["Lanterns on the Quay", "Outbound", "Slack Water", "The Last Ferry"]);

  // A mouse drags by the whole row, and that does not play it.
  await drag(page, page.getByRole("button", { name: "Play The Last Ferry by North Pier" }), page.getByRole("button", { name: "Play Lanterns on the Quay by North Pier" }));
  await expectStored(page, id, ["The Last Ferry", "Lanterns on the Quay", "Outbound", "Slack Water"]);
  await expect(player(page).getByRole("button", { name: "Pause" })).toBeHidden();

  // Whoever cannot drag presses what is to move, and then where.
  await page.getByRole("button", { name: "Move Slack Water", exact: true }).click();
  await page.getByRole("button", { name: "Move The Last Ferry", exact: true }).click();
  await expectStored(page, id, ["Slack Water", "The Last Ferry", "Lanterns on the Quay", "Outbound"]);

  await page.getByRole("button", { name: "More for Mouse" }).click();
  await page.getByRole("menuitem", { name: "Sort by title" }).click();
  await expectStored(page, id, ["Lanterns on the Quay", "Outbound", "Slack Water", "The Last Ferry"]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expectStored(page, id, ["Slack Water", "The Last Ferry", "Lanterns on the Quay", "Outbound"]);
});

test("says so when somebody else changed the playlist meanwhile", async ({ page, context, account }) => {
  await returning(context, account);
  await page.route(/\/events$/, (route) => route.abort()); // nor was the page told yet
  const { id, name } = await makePlaylist(page, "Shared with myself", ["Elevation"]);
  await page.goto(`/playlist/${id}`);
  await expect(rows(page.getByRole("list", { name: `Tracks of ${name}` }))).toHaveCount(3);
  const [first] = (await stored(page, id)).tracks;
  expect((await page.request.put(`/api/v1/playlists/${id}`, { data: { name, tracks: [first?.id] } })).ok()).toBe(true);
  await page.getByRole("button", { name: "Remove Roof from the playlist" }).press("Enter");
  await expect(page.getByText("This playlist was changed elsewhere.")).toBeVisible();
  await expect(rows(page.getByRole("list", { name: `Tracks of ${name}` }))).toHaveCount(1);
});

/** A promise kept from outside. */
function promised(): { kept: Promise<void>; keep: () => void } {
  let keep!: () => void;
  const kept = new Promise<void>((resolve) => (keep = resolve));
  return { kept, keep };
}

test("an answer that was on its way while the playlist was changed does not take the change back", async ({ page, context, account }) => {
  await returning(context, account);
  const { id, name } = await makePlaylist(page, "Overtaken", ["Insert Coin"]);
  const told = promised();
  const late = promised();
  const asked = promised();
  await page.route(/\/events$/, async (route) => {
    await told.kept;
    await route.fulfill({ contentType: "text/event-stream", body: "retry: 600000\nevent: playlists\ndata: {}\n\n" });
  });
  await page.goto(`/playlist/${id}`);
  const list = page.getByRole("list", { name: `Tracks of ${name}` });
  await expect(rows(list)).toHaveCount(4);
  const move = async (key: string) => {
    const saved = page.waitForResponse((r) => r.url().endsWith(id) && r.request().method() === "PUT");
    await page.keyboard.press(key);
    await saved;
  };
  const focused = page.getByRole("button", { name: "Play Attract Mode by Velvet Arcade" });
  await focused.focus();
  await move("Alt+ArrowDown");
  await page.route(new RegExp(`/playlists/${id}$`), async (route) => {
    if (route.request().method() !== "GET") return route.fallback();
    const response = await route.fetch();
    asked.keep();
    await late.kept;
    return route.fulfill({ response });
  });
  told.keep();
  await asked.kept;
  await move("Alt+ArrowDown");
  const wanted = ["High Score", "Continue?", "Attract Mode", "Last Credit"];
  await expectStored(page, id, wanted);
  const came = page.waitForResponse((r) => r.url().endsWith(id) && r.request().method() === "GET");
  late.keep();
  await (await came).finished();
  await page.evaluate(() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown))));
  expect(await titles(list)).toEqual(wanted);
  await expect(focused).toBeFocused();
});

test("takes a playlist out as M3U and in again, and names what is missing", async ({ page, context, account }) => {
  await returning(context, account);
  const { id, name } = await makePlaylist(page, "Out and in", ["Root System"]);
  await page.goto(`/playlist/${id}`);
  await page.getByRole("button", { name: `More for ${name}` }).click();
  const saved = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: "Export M3U" }).click();
  const file = await saved;
  expect(file.suggestedFilename()).toBe("Out and in.m3u8");
  const text = await readFile(await file.path(), "utf8");
  expect(text).toContain("Mycelium");

  await page.goto("/playlists");
  await page.getByLabel("Import M3U").setInputFiles({ name: "Road.m3u8", mimeType: "audio/x-mpegurl", buffer: Buffer.from(`${text}#EXTINF:10,Nobody - Nothing\nnowhere/nothing.mp3\n`) });
  const missing = page.getByRole("dialog", { name: "1 entry of “Road” is not in the library" });
  await expect(missing.getByRole("listitem")).toHaveText("Nobody - Nothing (nowhere/nothing.mp3)");
  await missing.getByRole("button", { name: "Close" }).last().click();
  await expect(page.getByRole("heading", { name: "Road", level: 1 })).toBeVisible();
  expect(await titles(page.getByRole("list", { name: "Tracks of Road" }))).toEqual(["Mycelium", "Taproot"]);
});

test("adds to a playlist, and warns of what is in it already", async ({ page, context, account }) => {
  await returning(context, account);
  const { id } = await makePlaylist(page, "Growing", ["Grow Lights"]);
  await playAlbum(page, "Grow Lights");
  await page.goto("/playing");
  await page.getByRole("region", { name: "Now playing" }).getByRole("button", { name: "Add to playlist" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /^Growing/ }).click();
  await expect(page.getByText("It is already in “Growing”.")).toBeVisible();
  await page.getByRole("dialog").getByRole("button", { name: "Add anyway" }).click();
  await expect(page.getByText("Added 1 track to “Growing”")).toBeVisible();
  await expectStored(page, id, ["Seedling", "Under Glass", "Harvest Moon", "Seedling"]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expectStored(page, id, ["Seedling", "Under Glass", "Harvest Moon"]);
});

test("moves the queue's entries, and takes back what was cleared", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Folding Season");
  await page.goto("/playing");
  await expect(rows(queue(page))).toHaveCount(4);
  const saved = queueSaved(page);
  await drag(page, queue(page).getByRole("button", { name: "Move String, Let Go", exact: true }), queue(page).getByRole("button", { name: "Move Swallow Tail", exact: true }));
  await expect.poll(() => titles(queue(page))).toEqual(["First Crease", "String, Let Go", "Swallow Tail", "Thermals"]);
  await saved;
  await queue(page).getByRole("button", { name: "Play Thermals by The Paper Kites Club" }).focus();
  await page.keyboard.press("Alt+ArrowUp");
  await expect.poll(() => titles(queue(page))).toEqual(["First Crease", "String, Let Go", "Thermals", "Swallow Tail"]);

  await queue(page).getByRole("button", { name: "Clear" }).click();
  await expect(page.getByRole("heading", { name: "The queue is empty" })).toBeVisible();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(rows(queue(page))).toHaveCount(4);
  await expect(player(page)).toContainText("First Crease");
});

test("holds a queue of 8,000, of which it draws what is seen", async ({ page, context, account }) => {
  await returning(context, account);
  const some = [...(await albumTracks(page, "Harbour Lights")), ...(await albumTracks(page, "Elevation"))].map((track) => track.id);
  const tracks = Array.from({ length: 8_000 }, (_, i) => some[i % some.length]);
  expect((await page.request.put("/api/v1/queue", { data: { tracks, current: 4_000 } })).status()).toBe(204);
  await page.goto("/playing");
  const current = queue(page).locator('[aria-current="true"]');
  await expect(current).toBeInViewport();
  await expect(queue(page).getByRole("listitem").first()).toHaveAttribute("aria-setsize", "8000");
  expect(await rows(queue(page)).count()).toBeLessThan(60);

  await current.focus();
  await page.keyboard.press("End");
  await expect(queue(page).locator('[aria-posinset="8000"] .track-title')).toBeFocused();
  await page.keyboard.press("Home");
  await expect(queue(page).locator('[aria-posinset="1"] .track-title')).toBeFocused();
  await expect(queue(page).locator('[aria-posinset="1"]')).toBeInViewport();
  expect(await rows(queue(page)).count()).toBeLessThan(60);

  await page.keyboard.press("Alt+ArrowDown");
  await expect(queue(page).locator('[aria-posinset="2"] .track-title')).toBeFocused();
  // An empty queue for whoever comes next.
  expect((await page.request.put("/api/v1/queue", { data: { tracks: [], current: -1 } })).status()).toBe(204);
});

test("now playing wears the cover's colours, shows the outline and tells what is heard", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Harbour Lights");
  await page.getByRole("link", { name: "Now playing and queue" }).click();
  const stage = page.locator(".stage");
  await expect(stage.locator(".waveform path.heard")).toBeAttached();
  const first = await stage.evaluate((el) => el.style.getPropertyValue("--ground-1"));
  expect(first).toMatch(/^rgb\(/);

  // The outline is a slider to the keyboard and to the mouse.
  const slider = player(page).getByRole("slider", { name: "Position" });
  await slider.fill("12000");
  await expect.poll(() => position(page)).toBeGreaterThanOrEqual(12_000);
  await expect(slider).toHaveAttribute("aria-valuetext", /^1\d seconds of 20 seconds$/);
  const box = await slider.boundingBox();
  if (box === null) throw new Error("the seek bar is not to be seen");
  await page.mouse.click(box.x + box.width * 0.25, box.y + box.height / 2);
  await expect.poll(() => position(page)).toBeLessThan(9_000);

  await page.getByRole("tab", { name: "Details" }).click();
  await expect(page.getByText("You hear the original, bit for bit")).toBeVisible();
  await expect(page.getByRole("tabpanel")).toContainText("16 bit · 44.1 kHz · stereo");

  // Another cover, other colours.
  await page.keyboard.press("q");
  await playAlbum(page, "Neon Ordinary");
  await page.goto("/playing");
  await expect.poll(() => stage.evaluate((el) => el.style.getPropertyValue("--ground-1"))).not.toBe(first);
});

test("lyrics follow the music, and a press on a line goes there", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Harbour Lights");
  await page.goto("/playing?panel=lyrics");
  await player(page).getByRole("button", { name: "Play", exact: true }).click();
  const lines = page.getByRole("list", { name: "Lyrics" });
  await expect(lines.getByRole("listitem")).toHaveCount(8);
  await lines.getByRole("button", { name: "Wait for the turning" }).click();
  await expect.poll(() => position(page)).toBeGreaterThanOrEqual(12_500);
  await expect(lines.locator('[aria-current="true"]')).toHaveText(/^Wait for the (turning|morning to call)$/);
  // A line whose words have times is sung word by word.
  await lines.getByRole("button", { name: "The tide forgets its name" }).click();
  await expect(lines.locator(".now-sung .part.sung").first()).toBeVisible();
  const follow = page.getByRole("button", { name: "Follow the music" });
  await expect(follow).toHaveAttribute("aria-pressed", "true");
  await lines.hover();
  await page.mouse.wheel(0, 200);
  await expect(follow).toHaveAttribute("aria-pressed", "false");
});

test("speed, sleep and crossfade", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Root System");
  await page.goto("/playing");
  await page.getByRole("button", { name: "Speed, sleep and crossfade" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "1.5×" }).click();
  await expect(dialog.getByRole("slider", { name: "Speed" })).toHaveAttribute("aria-valuetext", "1.5×");
  await dialog.getByRole("button", { name: "30 min" }).click();
  await expect(dialog.getByText("30 minutes left")).toBeVisible();
  await dialog.getByRole("slider", { name: "Crossfade" }).fill("4000");
  await expect(dialog.getByText("4 s")).toBeVisible();
  expect(await page.evaluate(() => JSON.parse(localStorage.getItem("tutti.sound") ?? "{}") as unknown)).toMatchObject({ crossfadeMs: 4_000 });
  await checkAccessibility(page, "speed, sleep and crossfade");
});

test("shares an album with somebody who has no account, until it is taken down", async ({ page, context, account, browser }) => {
  await returning(context, account);
  await playAlbum(page, "Elevation");
  await page.goto("/playing");
  await page.getByRole("button", { name: "Share Ground" }).click();
  const dialog = page.getByRole("dialog", { name: "Share Ground" });
  await dialog.getByLabel("What to say about it").fill("For the road");
  await dialog.getByLabel("Ends").selectOption("After a week");
  await dialog.getByRole("button", { name: "Make link" }).click();
  const made = page.getByRole("dialog", { name: "It is shared" });
  const url = await made.getByLabel("This is its address:").inputValue();
  await made.getByRole("button", { name: "Close" }).last().click();

  const stranger = await browser.newContext({ reducedMotion: "reduce" });
  const visit = await stranger.newPage();
  const wrong: string[] = [];
  visit.on("pageerror", (e) => wrong.push(e.message));
  visit.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
  for (const [name, viewport, colorScheme] of [
    ["desktop-dark", { width: 1440, height: 900 }, "dark"],
    ["phone-light", { width: 390, height: 844 }, "light"],
  ] as const) {
    await visit.setViewportSize(viewport);
    await visit.emulateMedia({ colorScheme });
    await visit.goto(url);
    await expect(visit.getByRole("heading", { name: "For the road", level: 1 })).toBeVisible();
    await visit.getByRole("button", { name: "Play" }).first().click();
    await expect.poll(async () => Number(await visit.getByRole("slider", { name: "Position" }).inputValue())).toBeGreaterThan(0);
    await visit.screenshot({ path: join(shots, `share-${name}.png`) });
    await checkAccessibility(visit, `a shared page, ${name}`);
    expect(await visit.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0);
  }
  expect((await stranger.request.get("/api/v1/session")).status()).toBe(401);
  expect(wrong).toEqual([]);

  await page.goto("/shares");
  await expect(page.getByRole("heading", { name: "For the road" })).toBeVisible();
  await expect(page.getByText("Opened 2 times")).toBeVisible();
  await page.getByRole("button", { name: "Take down the share of For the road" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take down" }).click();
  await expect(page.getByRole("heading", { name: "Nothing is shared" })).toBeVisible();
  expect((await visit.goto(url))?.status()).toBe(404);
  await expect(visit.getByText("This link has expired")).toBeVisible();
  await stranger.close();
});

test("keeps radio stations", async ({ page, context, account }) => {
  await returning(context, account);
  await page.goto("/radio");
  await page.getByRole("button", { name: "Add station" }).click();
  const dialog = page.getByRole("dialog", { name: "Add station" });
  await dialog.getByLabel("Name").fill("Harbour FM");
  await dialog.getByLabel("Address of the stream").fill("https://radio.example/live.mp3");
  await dialog.getByLabel("Web site").fill("https://www.radio.example/");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Play Harbour FM" })).toBeVisible();
  await expect(page.getByRole("link", { name: "radio.example" })).toBeVisible();
  await checkAccessibility(page, "radio");
  await page.getByRole("button", { name: "Edit Harbour FM" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Harbour Radio");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Remove Harbour Radio" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(page.getByRole("heading", { name: "No stations yet" })).toBeVisible();
});

for (const screen of [
  { name: "desktop", viewport: { width: 1440, height: 900 } },
  { name: "phone", viewport: { width: 390, height: 844 } },
] as const) {
  for (const colorScheme of ["dark", "light"] as const) {
    test.describe(`${screen.name}, ${colorScheme}`, () => {
      test.use({ viewport: screen.viewport, colorScheme, hasTouch: screen.name === "phone", isMobile: screen.name === "phone", reducedMotion: "reduce" } as object);

      test("playlists and now playing are accessible and do not overflow", async ({ page, context, account }) => {
        await returning(context, account);
        const look = async (name: string) => {
          await page.waitForFunction(() => [...document.images].filter((i) => i.getBoundingClientRect().top < innerHeight && i.checkVisibility()).every((i) => i.classList.contains("loaded")));
          await page.screenshot({ path: join(shots, `${name}-${screen.name}-${colorScheme}.png`) });
          await checkAccessibility(page, name);
          expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `${name} is wider than the screen`).toBeLessThanOrEqual(0);
        };
        const { id, name } = await makePlaylist(page, `Evening on ${screen.name}, ${colorScheme}`, ["Harbour Lights", "雨の午後", "Långt bort", "Neon Ordinary"]);
        await page.goto("/playlists");
        await expect(page.getByRole("link", { name }).last()).toBeVisible();
        await look("playlists");
        await page.goto(`/playlist/${id}`);
        await expect(page.getByRole("heading", { name, level: 1 })).toBeVisible();
        await look("playlist");
        await page.getByRole("button", { name: `More for ${name}` }).first().click();
        await page.getByRole("menuitem", { name: "Edit details" }).click();
        await look("playlist-edit");
        await page.keyboard.press("Escape");
        await page.locator("main").getByRole("button", { name: "Play", exact: true }).first().click();
        await expect(player(page).getByRole("button", { name: "Pause" })).toBeVisible();
        await page.goto("/playing");
        await expect(page.locator(".waveform path.heard")).toBeAttached();
        await player(page).getByRole("button", { name: "Next" }).click();
        await expect(player(page)).toContainText("Lanterns on the Quay");
        await look("playing-queue");
        await player(page).getByRole("button", { name: "Previous" }).click();
        for (const panel of ["Lyrics", "Details"]) {
          await page.getByRole("tab", { name: panel }).click();
          await look(`playing-${panel.toLowerCase()}`);
        }
        await page.goto("/shares");
        await expect(page.getByRole("heading", { name: "Shares", level: 1 })).toBeVisible();
        await look("shares");
      });
    });
  }
}
