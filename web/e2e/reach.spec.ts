import { join } from "node:path";
import { admin, checkAccessibility, expect, password, playAlbum, player, queueSaved, returning, shots, signIn, test, visit } from "./fixtures";

test("settings: theme, language and letters are kept", async ({ page, context, account }) => {
  await returning(context, account);
  await page.goto("/settings");
  const root = page.locator("html");
  await page.getByRole("radio", { name: "Light" }).check();
  await expect(root).toHaveAttribute("data-theme", "light");
  await expect(root).toHaveCSS("background-color", "rgb(251, 248, 244)");
  await page.getByRole("radio", { name: "Dark" }).check();
  await expect(root).toHaveCSS("background-color", "rgb(18, 16, 16)");
  await page.getByRole("radio", { name: "More", exact: true }).check();
  await expect(root).toHaveCSS("background-color", "rgb(0, 0, 0)");
  await checkAccessibility(page, "more contrast");

  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("switch", { name: "Single-key shortcuts" }).uncheck();
  await page.locator("main").focus();
  await page.keyboard.press("?");
  await page.keyboard.press("q");
  await expect(page).toHaveURL(/settings$/);
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toHaveCount(0);

  await page.getByLabel("Language").selectOption("ar");
  await expect(root).toHaveAttribute("dir", "rtl");
  await expect(root).toHaveAttribute("lang", "ar");
  await page.reload();
  await expect(root).toHaveAttribute("dir", "rtl");
  await expect(root).toHaveAttribute("data-theme", "dark");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("الإعدادات");
});

test("goes everywhere by keys", async ({ page, context, account }) => {
  await returning(context, account);
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  for (const [key, path] of [["r", "/artists"], ["s", "/starred"], ["a", "/albums"], ["o", "/settings"], ["h", "/"]] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page).toHaveURL((url) => url.pathname === path);
    await expect(page.locator("main")).toBeFocused();
  }
});

test("an administrator adds somebody, changes what they may, and deletes them", async ({ page, context, account, playwright, baseURL }) => {
  await returning(context, account);
  await page.goto("/settings/people");
  const name = `guest-${test.info().workerIndex}-${test.info().repeatEachIndex}`;
  await page.getByRole("button", { name: "Add somebody" }).click();
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();
  await page.keyboard.type(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByLabel("download").uncheck();
  await checkAccessibility(page, "somebody new");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByRole("list", { name: "People" })).toContainText(name);

  const guest = await playwright.request.newContext({ baseURL: baseURL ?? "" });
  const session = await guest.post("/api/v1/session", { data: { name, password } });
  expect(session.status()).toBe(201);
  expect(((await session.json()) as { user: { roles: string[] } }).user.roles.sort()).toEqual(["playlist", "share", "stream"]);

  await page.getByRole("button", { name: `Change ${name}` }).click();
  await page.getByLabel("At most").selectOption("128");
  await page.getByLabel("A new password, if wanted").fill("eleven dry reeds");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("at most 128 kbit/s")).toBeVisible();
  expect((await guest.get("/api/v1/session")).status()).toBe(401);
  const again = await guest.post("/api/v1/session", { data: { name, password: "eleven dry reeds" } });
  expect(((await again.json()) as { user: { maxBitRate: number } }).user.maxBitRate).toBe(128);

  await page.getByRole("button", { name: `Change ${name}` }).click();
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: `Delete ${name} for good` }).click();
  await expect(page.getByRole("list", { name: "People" })).not.toContainText(name);
  expect((await guest.get("/api/v1/session")).status()).toBe(401);
  await guest.dispose();
});

test("shows the signed-in browsers and signs one out", async ({ page, context, playwright, baseURL }) => {
  const name = `browsers-${test.info().workerIndex}-${test.info().repeatEachIndex}`;
  const server = await playwright.request.newContext({ baseURL: baseURL ?? "" });
  expect((await server.post("/api/v1/session", { data: admin })).status()).toBe(201);
  expect((await server.post("/api/v1/users", { data: { name, password, roles: ["stream"] } })).status()).toBe(201);
  const other = await playwright.request.newContext({ baseURL: baseURL ?? "", userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" });
  expect((await other.post("/api/v1/session", { data: { name, password } })).status()).toBe(201);
  await signIn(page, { name, cookies: [] });
  await page.goto("/settings/account");
  const list = page.getByRole("list", { name: "Signed-in browsers" });
  await expect(list.getByRole("listitem")).toHaveCount(2);
  await expect(list).toContainText("This browser");
  await checkAccessibility(page, "browsers");
  await list.getByRole("button", { name: "Sign out Firefox · Linux" }).click();
  await expect(list.getByRole("listitem")).toHaveCount(1);
  expect((await other.get("/api/v1/session")).status()).toBe(401);
  await expect(page.getByRole("link", { name: "People" })).toHaveCount(0); // not for who does not administer
  expect((await context.request.get("/api/v1/session")).status()).toBe(200);
  await other.dispose();
  await server.dispose();
});

test("a part of the page that is gone from the server says so", async ({ page, context, account }) => {
  await returning(context, account);
  await page.route("**/assets/settings-*.js", (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  // The server that answers now has another build.
  await page.route("**/", async (route) => {
    if (route.request().resourceType() !== "fetch") return route.fallback();
    return route.fulfill({ contentType: "text/html", body: '<script type="module" src="/assets/index-other.js"></script>' });
  });
  await visit(page, "Settings");
  await expect(page.getByRole("heading", { name: "tutti was renewed" })).toBeVisible();
  await checkAccessibility(page, "renewed");
  await page.screenshot({ path: join(shots, "renewed.png") });
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: "Load the new page" }).click()]);
  await page.unroute("**/assets/settings-*.js");
  await page.unroute("**/");
  await page.reload();
  await expect(page.getByRole("heading", { name: "Settings", level: 1 })).toBeVisible();
});

test("a paused page that is seen runs no timers and asks for nothing", async ({ page, context, account }) => {
  await returning(context, account);
  await playAlbum(page, "Elevation");
  const saved = queueSaved(page);
  await player(page).getByRole("button", { name: "Pause" }).click();
  await saved;
  await expect(page.locator(".toast")).toHaveCount(0);
  await page.waitForLoadState("networkidle");
  const asked: string[] = [];
  page.on("request", (r) => asked.push(r.url()));
  const ran = await page.evaluate(
    () =>
      new Promise<Record<string, number>>((done) => {
        const n: Record<string, number> = { setTimeout: 0, setInterval: 0, requestAnimationFrame: 0 };
        const later = window.setTimeout.bind(window);
        for (const name of ["setTimeout", "setInterval", "requestAnimationFrame"] as const) {
          const real = window[name].bind(window) as (...args: unknown[]) => number;
          Object.assign(window, { [name]: (...args: unknown[]) => { n[name] = (n[name] ?? 0) + 1; return real(...args); } });
        }
        later(() => done(n), 3_000);
      }),
  );
  expect(ran).toEqual({ setTimeout: 0, setInterval: 0, requestAnimationFrame: 0 });
  expect(asked).toEqual([]);
});

test("at twice the size nothing is cut off", async ({ page, context, account }) => {
  await returning(context, account);
  // A browser's zoom of 200 % on a desk is this many of the page's pixels; text alone at 200 % is a larger root size.
  await page.setViewportSize({ width: 640, height: 400 });
  for (const path of ["/", "/albums", "/settings", "/settings/account", "/playing", "/offline"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 }).first()).toBeVisible();
    for (const size of ["100%", "200%"]) {
      await page.evaluate((s) => (document.documentElement.style.fontSize = s), size);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `${path} at ${size}`).toBeLessThanOrEqual(0);
    }
  }
});

test("forced colours leave what is chosen and what is focused to be seen", async ({ page, context, account }) => {
  await page.emulateMedia({ forcedColors: "active" });
  await returning(context, account);
  await page.goto("/settings");
  await expect(page.getByRole("radio", { name: "Original" })).toBeChecked();
  await checkAccessibility(page, "forced colours");
  await page.screenshot({ path: join(shots, "forced-colours.png") });
});

/**
 * Every address of the page that needs nothing but the library. In English, on both screens and in both themes, the first
 * ones are looked at where their content is tested (library.spec.ts, lists.spec.ts and page.spec.ts), with more in them;
 * the rest here. Both other languages are looked at everywhere: German, the longest, on a phone and in the light theme,
 * Arabic, which runs from right to left, on a desk and in the dark one.
 */
const lookedAt = ["/", "/albums", "/artists", "/tracks", "/genres", "/folders", "/search", "/search?q=a", "/starred", "/playlists", "/shares", "/settings"];
const rest = ["/radio", "/playing", "/offline", "/settings/account", "/settings/library", "/settings/people", "/nowhere"];

const desktop = { name: "desktop", viewport: { width: 1440, height: 900 } };
const phone = { name: "phone", viewport: { width: 390, height: 844 } };

for (const { screen, colorScheme, locale, addresses } of [
  { screen: desktop, colorScheme: "dark", locale: "en", addresses: rest },
  { screen: desktop, colorScheme: "light", locale: "en", addresses: rest },
  { screen: phone, colorScheme: "dark", locale: "en", addresses: rest },
  { screen: phone, colorScheme: "light", locale: "en", addresses: rest },
  { screen: desktop, colorScheme: "dark", locale: "ar", addresses: [...lookedAt, ...rest] },
  { screen: phone, colorScheme: "light", locale: "de", addresses: [...lookedAt, ...rest] },
] as const) {
  test.describe(`${screen.name}, ${colorScheme}, ${locale}`, () => {
    test.use({ viewport: screen.viewport, colorScheme, locale, hasTouch: screen === phone, isMobile: screen === phone, contextOptions: { reducedMotion: "reduce" } });

    test("every view is accessible and fits", async ({ page, context, account }) => {
      test.setTimeout(240_000);
      await returning(context, account);
      for (const path of addresses) {
        await page.goto(path);
        await expect(page.getByRole("heading", { level: 1 }).first(), path).toBeVisible();
        await page.waitForLoadState("networkidle");
        await expect(page.locator("[aria-busy=true]"), path).toHaveCount(0);
        await expect(page.locator("html")).toHaveAttribute("dir", locale === "ar" ? "rtl" : "ltr");
        const name = path === "/" ? "home" : path.slice(1).replaceAll(/[/?=]/g, "-");
        await page.screenshot({ path: join(shots, `${locale}-${name}-${screen.name}-${colorScheme}.png`) });
        await checkAccessibility(page, `${path} in ${locale}`);
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `${path} is wider than the screen`).toBeLessThanOrEqual(0);
      }
    });
  });
}
