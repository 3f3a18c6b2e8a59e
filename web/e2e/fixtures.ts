import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as base, type BrowserContext, expect, type Page } from "@playwright/test";

export const admin = { name: process.env.TUTTI_USER ?? "admin", password: process.env.TUTTI_PASSWORD ?? "" };
export const password = "twelve quiet oboes";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const shots = new URL("../test-results/shots/", import.meta.url).pathname;
mkdirSync(shots, { recursive: true });

export interface Account {
  name: string;
  /** The cookies of a browser that is signed in. */
  cookies: Awaited<ReturnType<BrowserContext["cookies"]>>;
}

/**
 * Each worker has an account of its own, so that no test plays into another's queue and stars. Every test fails where
 * the page logged an error or broke its Content-Security-Policy, unless it expects that.
 */
export const test = base.extend<{ complaints: string[] }, { account: Account }>({
  account: [
    async ({ playwright }, use, worker) => {
      const server = await playwright.request.newContext({ baseURL: worker.project.use.baseURL ?? "" });
      const name = `listener-${worker.workerIndex}`;
      expect((await server.post("/api/v1/session", { data: admin })).status()).toBe(201);
      const made = await server.post("/api/v1/users", { data: { name, password, roles: ["admin", "stream"] } });
      expect(made.status()).toBe(201);
      expect((await server.post("/api/v1/session", { data: { name, password } })).status()).toBe(201);
      await use({ name, cookies: (await server.storageState()).cookies });
      await server.dispose();
    },
    { scope: "worker" },
  ],
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on("pageerror", (e) => complaints.push(e.message));
      page.on("console", (m) => {
        // The browser itself logs every 401 and every failed request; the page handles those.
        if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) complaints.push(m.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export async function signIn(page: Page, account: Account): Promise<void> {
  await page.goto("/");
  await page.getByLabel("Name").fill(account.name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Views" })).toBeVisible();
}

/** Signs in without the form, as a browser that was here before. */
export async function returning(context: BrowserContext, account: Account): Promise<void> {
  await context.addCookies(account.cookies);
}

interface Violation {
  id: string;
  help: string;
  nodes: { target: unknown; failureSummary?: string }[];
}

export async function checkAccessibility(page: Page, what: string): Promise<void> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe: checker } = window as unknown as { axe: { run: (root: Document, options: object) => Promise<{ violations: Violation[] }> } };
    const { violations } = await checker.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `  ${JSON.stringify(n.target)} ${n.failureSummary ?? ""}`).join("\n")}`);
  });
  expect(found, what).toEqual([]);
}

/** Goes to a view by the frame's links; on a phone most of them are behind "More". */
export async function visit(page: Page, name: string): Promise<void> {
  const link = page.getByRole("link", { name, exact: true }).filter({ visible: true }).first();
  if (!(await link.isVisible())) await page.getByRole("button", { name: "More", exact: true }).click();
  await link.click();
}

export const albumLink = (page: Page, name: string) => page.getByRole("link", { name, exact: true }).first();

/** Goes to an album by way of the search, since the grid holds only what is seen. */
export async function openAlbum(page: Page, name: string): Promise<void> {
  await page.goto(`/search?q=${encodeURIComponent(name)}`);
  await albumLink(page, name).click();
  await expect(page.getByRole("heading", { name, level: 1 })).toBeVisible();
}

/** The answer to the next time the page keeps its queue. */
export const queueSaved = (page: Page) => page.waitForResponse((r) => r.url().endsWith("/api/v1/queue") && r.request().method() === "PUT");
export const player = (page: Page) => page.getByRole("region", { name: "Player" });

/** What the page's audio does. The elements are not in the document, so the page's own report is read. */
export const position = async (page: Page): Promise<number> => Number(await player(page).getByRole("slider", { name: "Position" }).inputValue());

export async function playAlbum(page: Page, name: string): Promise<void> {
  await openAlbum(page, name);
  await page.getByRole("button", { name: "Play", exact: true }).first().click();
  await expect(player(page).getByRole("button", { name: "Pause" })).toBeVisible();
  await expect.poll(() => position(page)).toBeGreaterThan(0);
}

export { expect };
