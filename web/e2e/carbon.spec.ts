import { join } from "node:path";
import type { Page } from "@playwright/test";
import { checkAccessibility, expect, returning, shots, test, visit } from "./fixtures";

/** Texts of the view with digits in them that are under no label: names of standards and spans of time are no figures. */
const unlabelled = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    const texts = document.createTreeWalker(document.querySelector("main") as Node, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
      const text = (node.textContent ?? "").replace(/ISO\/IEC 21031|365 days|last 30 days|version 4/g, "");
      const figure = node.parentElement?.closest("[data-label]");
      if (/\p{Nd}/u.test(text) && !(figure !== null && figure !== undefined && /measured|modelled|assumed/.test(figure.getAttribute("data-label") ?? ""))) found.push(text);
      // An amount says its label in words, not only to programs.
      if (/\p{Nd}/u.test(text) && node.parentElement?.closest(".amount") && !/measured|modelled|assumed/.test(node.parentElement.closest(".amount")?.textContent ?? "")) found.push(`${text} hides its label`);
    }
    return found;
  });

test("the footprint says what listening cost, no figure without its label", async ({ page, context, account }) => {
  await returning(context, account);
  const albums = (await (await context.request.get("/api/v1/albums?limit=1")).json()) as { items: { id: string }[] };
  const album = (await (await context.request.get(`/api/v1/albums/${albums.items[0]?.id ?? ""}`)).json()) as { tracks: { id: string }[] };
  expect((await context.request.get(`/api/v1/tracks/${album.tracks[0]?.id ?? ""}/stream`)).status()).toBe(200);

  await page.goto("/");
  await visit(page, "Footprint");
  await expect(page.getByRole("heading", { name: "Footprint", level: 1 })).toBeVisible();
  await expect(page.getByRole("heading", { name: "For each hour of music" })).toBeVisible();
  await expect(page.locator(".score .total .amount")).toContainText(/\d.*(measured|modelled|assumed)/);
  expect(await unlabelled(page)).toEqual([]);
  await checkAccessibility(page, "footprint");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download for the Impact Framework" }).click()]);
  expect(download.suggestedFilename()).toBe("tutti-sci.yml");

  // What to change first is known after an hour; the rest of the answer is the server's own.
  await page.route("**/api/v1/carbon", async (route) => {
    const reply = await route.fetch();
    const said = (await reply.json()) as Record<string, unknown>;
    const figure = (value: number, label: string) => ({ value, label });
    said.levers = [
      { name: "idle-watts", now: figure(12, "measured"), then: figure(6, "assumed"), saves: figure(23_400, "assumed"), part: figure(0.42, "assumed") },
      { name: "hours", now: figure(24, "assumed"), then: figure(16, "assumed"), saves: figure(15_600, "assumed"), part: figure(0.28, "assumed"), from: 22 },
      { name: "mobile-codec", now: figure(940, "measured"), then: figure(128, "assumed"), saves: figure(870, "assumed"), part: figure(0.016, "assumed") },
    ];
    await route.fulfill({ response: reply, json: said });
  });
  await page.reload();
  await page.getByRole("radio", { name: "Today" }).check({ force: true });
  await expect(page.getByRole("heading", { name: "Sleep while nobody listens" })).toBeVisible();
  await expect(page.locator(".levers li")).toHaveCount(3);
  expect(await unlabelled(page)).toEqual([]);
  for (const [name, width, height, colorScheme] of [["phone", 390, 844, "dark"], ["desktop", 1440, 900, "light"]] as const) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await checkAccessibility(page, `footprint, ${name}, ${colorScheme}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
    await page.screenshot({ path: join(shots, `carbon-${name}.png`), fullPage: true });
  }
});
