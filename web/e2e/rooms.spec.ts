import { join } from "node:path";
import type { Page } from "@playwright/test";
import { checkAccessibility, expect, openAlbum, returning, shots, test } from "./fixtures";

interface Room {
  id: string;
  name: string;
  current: number;
  tracks: { title: string }[];
}

/** A room of the test's own: rooms are everybody's. */
async function makeRoom(page: Page, name: string): Promise<Room> {
  const made = await page.request.post("/api/v1/rooms", { data: { name } });
  expect(made.ok()).toBe(true);
  return (await made.json()) as Room;
}

async function play(page: Page, room: Room, album: string): Promise<void> {
  const found = (await (await page.request.get(`/api/v1/search?q=${encodeURIComponent(album)}`)).json()) as { albums: { id: string }[] };
  const { tracks } = (await (await page.request.get(`/api/v1/albums/${found.albums[0]?.id ?? ""}`)).json()) as { tracks: { id: string }[] };
  expect((await page.request.put(`/api/v1/rooms/${room.id}/queue`, { data: { tracks: tracks.map((t) => t.id) } })).ok()).toBe(true);
}

const stored = async (page: Page, room: Room) => (await (await page.request.get(`/api/v1/rooms/${room.id}`)).json()) as Room;
const card = (page: Page, name: string) => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, level: 2 }) });

test("two browsers play a room in step, say how far off they are, and do what the other does", async ({ page, context, account, browser }) => {
  await returning(context, account);
  const room = await makeRoom(page, "Orchard");
  // High enough for nothing to lie under the bar at the bottom, wherever the page is scrolled to.
  const other = await browser.newContext({ baseURL: test.info().project.use.baseURL ?? "", serviceWorkers: "block", viewport: { width: 390, height: 1_600 }, colorScheme: "dark" });
  await returning(other, account);
  const second = await other.newPage();
  await play(page, room, "Harbour Lights");
  for (const p of [page, second]) {
    await p.goto("/rooms");
    await card(p, "Orchard").getByRole("button", { name: "Play here too" }).click();
  }
  // Each hears of both: what a player says of itself goes to everybody who looks.
  for (const p of [page, second]) {
    await expect(card(p, "Orchard").getByRole("list", { name: "Players in Orchard" }).getByText(/ (late|early)$/)).toHaveCount(2, { timeout: 30_000 });
    await expect(card(p, "Orchard").getByText(/ apart$/)).toBeVisible();
    await expect(card(p, "Orchard").getByText("This browser plays in step.")).toBeVisible();
  }
  await expect(card(page, "Orchard").getByRole("img", { name: /^How far off the players of Orchard were/ })).toBeVisible();
  await checkAccessibility(page, "a room that plays");
  await checkAccessibility(second, "a room that plays, on a phone in the dark");
  await page.screenshot({ path: join(shots, "rooms.png") });
  await second.screenshot({ path: join(shots, "rooms-phone.png"), fullPage: true });

  // What one does, the other sees.
  await card(second, "Orchard").getByRole("button", { name: "Pause Orchard" }).click();
  await expect(card(page, "Orchard").getByRole("button", { name: "Play in Orchard", exact: true })).toBeVisible();
  await card(page, "Orchard").getByRole("slider", { name: "Volume of Orchard" }).press("PageDown");
  await expect.poll(async () => Number(await card(second, "Orchard").getByRole("slider", { name: "Volume of Orchard" }).inputValue())).toBeLessThan(100);
  await other.close();
  const gone = card(page, "Orchard").getByRole("listitem").filter({ hasText: "away since" });
  await gone.getByRole("button", { name: /^More about the player/ }).click();
  await page.getByRole("menuitem", { name: "Forget this player" }).click();
  await expect(gone).toHaveCount(0);
  await card(page, "Orchard").getByRole("button", { name: "Stop playing here" }).click();
  await expect(card(page, "Orchard").getByRole("button", { name: "Play here too" })).toBeVisible();
  await page.request.delete(`/api/v1/rooms/${room.id}`);
});

test("rooms are made, played in, rearranged, had back and deleted by keyboard", async ({ page, context, account }) => {
  await returning(context, account);
  await page.goto("/rooms");
  await page.getByRole("button", { name: "New room" }).press("Enter");
  await page.getByRole("textbox", { name: "Name" }).fill("Attic");
  await page.getByRole("textbox", { name: "Name" }).press("Enter");
  await expect(card(page, "Attic").getByText("No player yet")).toBeVisible();
  await checkAccessibility(page, "a room without players");

  const menu = async (item: string) => {
    await card(page, "Attic").getByRole("button", { name: "More about Attic" }).press("Enter");
    await page.getByRole("menuitem", { name: item, exact: true }).press("Enter");
  };
  await openAlbum(page, "Insert Coin");
  await page.getByRole("button", { name: /^More/ }).first().press("Enter");
  await page.getByRole("menuitem", { name: "Play in room …", exact: true }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: /^Attic/ }).press("Enter");
  await expect(page.getByText("Playing in “Attic”")).toBeVisible();

  await page.goto("/rooms");
  await expect(card(page, "Attic").getByRole("link", { name: "Attract Mode" })).toBeVisible();
  await card(page, "Attic").getByRole("button", { name: "Pause Attic" }).press("Enter");
  await card(page, "Attic").getByRole("button", { name: "Next track in Attic" }).press("Enter");
  await expect(card(page, "Attic").getByRole("link", { name: "High Score" })).toBeVisible();
  await menu("Queue");
  const queue = page.getByRole("list", { name: "Queue" });
  await expect(queue.getByRole("listitem")).toHaveCount(4);
  await checkAccessibility(page, "the queue of a room");
  await page.screenshot({ path: join(shots, "room.png") });
  const room = ((await (await page.request.get("/api/v1/rooms")).json()) as { items: Room[] }).items.find((r) => r.name === "Attic");
  if (room === undefined) throw new Error("there is no Attic");
  await queue.getByRole("button", { name: "Play Last Credit by Velvet Arcade" }).press("Alt+ArrowUp");
  await expect.poll(async () => (await stored(page, room)).tracks.map((t) => t.title)).toEqual(["Attract Mode", "High Score", "Last Credit", "Continue?"]);
  await queue.getByRole("button", { name: "Remove Attract Mode from the queue of this room" }).press("Enter");
  await expect.poll(async () => { const { tracks, current } = await stored(page, room); return [tracks.length, tracks[current]?.title]; }).toEqual([3, "High Score"]);
  await page.getByRole("button", { name: "Clear" }).press("Enter");
  await expect(page.getByText("Nothing in the queue yet")).toBeVisible();
  await page.getByRole("button", { name: "Bring the last queue back" }).press("Enter");
  await expect(queue.getByRole("listitem")).toHaveCount(3);

  await page.getByRole("link", { name: "All rooms" }).press("Enter");
  await menu("Rename");
  await page.getByRole("textbox", { name: "Name" }).fill("Loft");
  await page.getByRole("textbox", { name: "Name" }).press("Enter");
  await expect(card(page, "Loft")).toBeVisible();
  await card(page, "Loft").getByRole("button", { name: "More about Loft" }).press("Enter");
  await page.getByRole("menuitem", { name: "Delete room" }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Delete room" }).press("Enter");
  await expect(card(page, "Loft")).toHaveCount(0);
});
