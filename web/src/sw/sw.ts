/**
 * The page's service worker. It lets the page open without a server, and answers:
 *
 * - the page's own files from what was kept of this build, since their names change with their content;
 * - tracks of albums kept for offline from the device, with ranges, whether there is a server or not;
 * - what the API says from the server, and from what was seen before where the server cannot be reached;
 * - pictures from what was seen, as long as the server lets them be kept.
 *
 * Everything else goes its way. It is built by itself (vite.config.ts), with the names of the files.
 */
import { byteRange, coverCache, keptCache, seenCache, seenHeader, shellCache, whoCache, whoPath } from "../offline/names";

declare const self: ServiceWorkerGlobalScope;
/** Names this build. */
declare const BUILD: string;
/** The page's own files, relative to where it stands. */
declare const FILES: readonly string[];

/** Most answers and most pictures that are remembered of one account; the oldest go first. */
const mostSeen = 600;
const mostCovers = 2_000;
/** How many may be added before the oldest are looked for. */
const trimEvery = 50;
/** How long opening the page waits for a slow server before what was kept is shown. */
const patienceMs = 3_000;

const scope = new URL(self.registration.scope);
const api = new URL("api/v1/", scope);
const shell = new URL("./", scope).href;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(shellCache(BUILD)).then((cache) => cache.addAll(["./", ...FILES].map((f) => new Request(new URL(f, scope), { cache: "no-cache" })))),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith(shellCache("")) && name !== shellCache(BUILD)) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("message", (event) => {
  if (event.data === "activate") void self.skipWaiting();
  if (event.data === "who") known = undefined;
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  const path = url.pathname.slice(scope.pathname.length);
  if (request.mode === "navigate") {
    if (isOfPage(path)) event.respondWith(open(request));
    return;
  }
  if (url.href.startsWith(api.href)) {
    const what = url.pathname.slice(api.pathname.length);
    // Streams of events and of radio do not end, and the description of the API is nobody's view.
    if (/(^|\/)events$|^stations\/|^openapi\.json$|\/m3u$/.test(what)) return;
    if (/^tracks\/[^/]+\/stream$/.test(what)) {
      // From the middle only the server can send what it makes.
      if (!url.searchParams.has("offsetMs")) event.respondWith(track(request, url));
      return;
    }
    event.respondWith(what.startsWith("covers/") ? cover(event, url) : answer(event, url));
    return;
  }
  if (FILES.includes(path)) event.respondWith(file(request, path));
});

/** Whether an address is one of the page's views: not a file, nor what other parts of the server show. */
const isOfPage = (path: string): boolean => !/^(api|rest|share|healthz|readyz|metrics|debug)(\/|$)/.test(path) && !/\.[^/]*$/.test(path);

/** The page, from the server if it answers soon. */
async function open(request: Request): Promise<Response> {
  const kept = () => caches.match(shell, { cacheName: shellCache(BUILD) });
  const asked = fetch(request);
  const slow = new Promise<"slow">((resolve) => setTimeout(() => resolve("slow"), patienceMs));
  try {
    const first = await Promise.race([asked, slow]);
    if (first !== "slow" && !isAway(first.status)) return first;
    return (await kept()) ?? (await asked);
  } catch (cause) {
    const page = await kept();
    if (page === undefined) throw cause;
    return page;
  }
}

async function file(request: Request, path: string): Promise<Response> {
  return (await caches.match(new URL(path, scope).href, { cacheName: shellCache(BUILD) })) ?? fetch(request);
}

/** Answers of a proxy for a server that is not there, or of one that is not ready. */
const isAway = (status: number): boolean => status >= 502 && status <= 504;

let known: Promise<string> | undefined;

/** The id of the account that is signed in, "" for nobody. */
function who(): Promise<string> {
  known ??= caches.match(new URL(whoPath, scope).href, { cacheName: whoCache }).then((r) => r?.text() ?? "");
  return known;
}

/** A track, from the device where it was kept there. */
async function track(request: Request, url: URL): Promise<Response> {
  const user = await who();
  const kept = user === "" ? undefined : await caches.match(url.origin + url.pathname, { cacheName: keptCache(user) });
  return kept === undefined ? fetch(request) : part(kept, request);
}

/** What was asked for of a kept answer. Its body stays on the disk: only the range is read. */
async function part(kept: Response, request: Request): Promise<Response> {
  const headers = new Headers(kept.headers);
  headers.set("Accept-Ranges", "bytes");
  const match = request.headers.get("If-Match");
  if (match !== null && match !== "*" && match !== headers.get("ETag")) return new Response(null, { status: 412 });
  const body = await kept.blob();
  const range = byteRange(request.headers.get("Range"), body.size);
  if (range === "unsatisfiable") return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${body.size}` } });
  const { start, end } = range ?? { start: 0, end: body.size };
  headers.set("Content-Length", String(end - start));
  if (range !== undefined) headers.set("Content-Range", `bytes ${start}-${end - 1}/${body.size}`);
  return new Response(body.slice(start, end), { status: range === undefined ? 200 : 206, headers });
}

/** What the API says; where it cannot be reached, what it said before. */
async function answer(event: FetchEvent, url: URL): Promise<Response> {
  const { request } = event;
  let said: Response | undefined;
  try {
    said = await fetch(request);
    if (!isAway(said.status)) {
      if (said.ok && said.headers.get("Content-Type")?.includes("json") === true) event.waitUntil(remember(seenCache(await who()), url, said.clone(), mostSeen));
      return said;
    }
  } catch (cause) {
    const before = await seen(url);
    if (before === undefined) throw cause;
    return before;
  }
  return (await seen(url)) ?? said;
}

/** What was said before of an address, or what a kept album says of itself. */
async function seen(url: URL): Promise<Response | undefined> {
  const user = await who();
  if (user === "") return undefined;
  const before = (await caches.match(url.href, { cacheName: seenCache(user) })) ?? (await caches.match(url.href, { cacheName: keptCache(user) }));
  if (before === undefined) return undefined;
  const headers = new Headers(before.headers);
  headers.set(seenHeader, "1");
  return new Response(before.body, { status: 200, headers });
}

/** A picture: what was seen for as long as the server allows, else the server's, else any size of it that is here. */
async function cover(event: FetchEvent, url: URL): Promise<Response> {
  const user = await who();
  if (user === "") return fetch(event.request);
  const before = await caches.match(url.href, { cacheName: coverCache(user) });
  if (before !== undefined && isFresh(before)) return before;
  let cause: unknown;
  try {
    const got = await fetch(event.request);
    if (got.ok) event.waitUntil(remember(coverCache(user), url, got.clone(), mostCovers));
    if (!isAway(got.status)) return got;
    cause = new Error(`the server said ${got.status}`);
  } catch (failure) {
    cause = failure;
  }
  const any =
    before ??
    (await caches.match(url.href, { cacheName: keptCache(user), ignoreSearch: true })) ??
    (await caches.match(url.href, { cacheName: coverCache(user), ignoreSearch: true }));
  if (any === undefined) throw cause;
  return any;
}

/** Whether an answer may be used without asking (RFC 9111 §4.2.1, as far as our server makes use of it). */
function isFresh(response: Response): boolean {
  const maxAge = /\bmax-age=(\d+)/.exec(response.headers.get("Cache-Control") ?? "")?.[1];
  const date = Date.parse(response.headers.get("Date") ?? "");
  return maxAge !== undefined && Date.now() - date < Number(maxAge) * 1000;
}

const added = new Map<string, number>();

/** Keeps an answer and, now and then, sees that there are not too many. */
async function remember(name: string, url: URL, response: Response, most: number): Promise<void> {
  if ((await who()) === "") return;
  const cache = await caches.open(name);
  // Taken out first, so that keys() lists it last: it gives them in the order in which they were put.
  await cache.delete(url.href);
  await cache.put(url.href, response);
  const n = (added.get(name) ?? 0) + 1;
  added.set(name, n % trimEvery);
  if (n < trimEvery) return;
  const keys = await cache.keys();
  for (const oldest of keys.slice(0, Math.max(0, keys.length - most))) await cache.delete(oldest);
}
