import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AlbumReply, SessionReply } from "../api/wire";

/** The browser's caches as far as the page uses them: by name, answers by absolute address. */
class Caches {
  readonly all = new Map<string, Map<string, Response>>();
  /** Waited for by every open(), so that a test says when it goes on. */
  gate: Promise<void> = Promise.resolve();

  async open(name: string) {
    await this.gate;
    const kept = this.all.get(name) ?? new Map<string, Response>();
    this.all.set(name, kept);
    const url = (path: string | { url: string }) => new URL(typeof path === "string" ? path : path.url, "http://tutti.test").href;
    return {
      keys: () => Promise.resolve([...kept.keys()].map((u) => ({ url: u }))),
      match: (path: string | { url: string }) => Promise.resolve(kept.get(url(path))?.clone()),
      put: (path: string, answer: Response) => Promise.resolve(void kept.set(url(path), answer)),
      delete: (path: string) => Promise.resolve(kept.delete(url(path))),
    };
  }
  match(path: string, { cacheName }: { cacheName: string }) {
    return Promise.resolve(this.all.get(cacheName)?.get(new URL(path, "http://tutti.test").href)?.clone());
  }
  delete(name: string) {
    return Promise.resolve(this.all.delete(name));
  }
}

const person = (id: string): SessionReply => ({ user: { id, name: id, roles: ["stream"] } }) as unknown as SessionReply;
const album = (id: string): AlbumReply => ({ id, name: id, hasCover: false, tracks: [] }) as unknown as AlbumReply;

let caches: Caches;
/** Answers of the server that are asked for and not given yet, by path. */
let asked: Map<string, (answer: Response) => void>;

beforeEach(() => {
  vi.resetModules();
  caches = new Caches();
  asked = new Map();
  vi.stubGlobal("caches", caches);
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("location", new URL("http://tutti.test/"));
  vi.stubGlobal("document", { querySelector: () => null });
  vi.stubGlobal("navigator", { serviceWorker: { controller: null }, storage: { persist: () => Promise.resolve(true) }, languages: ["en"] });
  vi.stubGlobal("fetch", (path: string, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise<Response>((resolve, reject) => {
      asked.set(path, resolve);
      signal?.addEventListener("abort", () => { reject(new DOMException("stopped", "AbortError")); });
    }),
  );
});
afterEach(() => { vi.unstubAllGlobals(); });

const load = async () => ({ ...(await import("../api/state")), ...(await import("./kept")), ...(await import("./worker")) });
const keep = async (user: string, id: string) => {
  await (await caches.open(`tutti-kept-${user}`)).put(`/api/v1/albums/${id}`, Response.json(album(id)));
};

describe("albums that are kept", () => {
  it("are those of who is signed in, and of nobody before them", async () => {
    const page = await load();
    await keep("ada", "one");
    await keep("bo", "two");
    page.setSession(person("ada"));
    await page.findKept();
    expect(page.keptAlbums().map((k) => k.album.id)).toEqual(["one"]);
    page.forgetSession(false);
    expect(page.keptAlbums()).toEqual([]);
    page.setSession(person("bo"));
    await page.findKept();
    expect(page.keptAlbums().map((k) => k.album.id)).toEqual(["two"]);
    page.forgetSession(false);
    page.setSession(person("ada"));
    await page.findKept();
    expect(page.keptAlbums().map((k) => k.album.id)).toEqual(["one"]);
  });

  it("are not shown to the next where they are found too late", async () => {
    const page = await load();
    await keep("ada", "one");
    let go = (): void => undefined;
    caches.gate = new Promise((resolve) => (go = resolve));
    page.setSession(person("ada"));
    const found = page.findKept();
    page.forgetSession(false);
    page.setSession(person("bo"));
    go();
    await found;
    expect(page.keptAlbums()).toEqual([]);
  });

  it("are no longer fetched when their listener signs out, nor written for nobody or for the next", async () => {
    const page = await load();
    page.setSession(person("ada"));
    const kept = page.keepAlbum("one");
    await vi.waitFor(() => { expect(asked.has("/api/v1/albums/one")).toBe(true); });
    let go = (): void => undefined;
    caches.gate = new Promise((resolve) => (go = resolve));
    asked.get("/api/v1/albums/one")?.(Response.json(album("one")));
    page.forgetSession(false);
    page.setSession(person("bo"));
    go();
    await expect(kept).rejects.toThrow();
    expect(page.keptAlbums()).toEqual([]);
    expect([...caches.all].flatMap(([name, answers]) => [...answers.keys()].map((a) => `${name} ${a}`))).toEqual([]);
  });
});

describe("what was seen", () => {
  it("is forgotten with the session, even where the page does not know whose it was", async () => {
    const page = await load();
    await page.tellWho("ada");
    await caches.open("tutti-seen-ada");
    await caches.open("tutti-covers-ada");
    await page.forgetWho();
    expect([...caches.all.keys()]).toEqual([]);
  });

  it("is kept by who came last, however long forgetting the one before takes", async () => {
    const page = await load();
    await page.tellWho("ada");
    const gone = page.forgetWho("ada");
    const come = page.tellWho("bo");
    await Promise.all([gone, come]);
    expect(await (await caches.match("/who", { cacheName: "tutti-who" }))?.text()).toBe("bo");
  });
});
