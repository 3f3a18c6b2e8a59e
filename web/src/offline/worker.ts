import { createRoot, createSignal } from "solid-js";
import { base } from "../api/client";
import { coverCache, seenCache, whoCache, whoPath } from "./names";

/** Whether this browser lets the page keep anything: without https, and elsewhere than on this machine, it does not. */
export const canKeep = isSecureContext && "serviceWorker" in navigator && "caches" in globalThis;

const [renewed, setRenewed] = createRoot(() => createSignal<ServiceWorker>());

/** A newer build of the page is here, and waits until this one is left or load() is called. */
export const isRenewed = (): boolean => renewed() !== undefined;

/** Puts the newer build in the place of this one. */
export function loadRenewed(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  renewed()?.postMessage("activate");
}

/** Starts the service worker. It is no failure of the page where there can be none. */
export async function startWorker(): Promise<void> {
  if (!canKeep || !import.meta.env.PROD) return;
  const registration = await navigator.serviceWorker.register(`${base}/sw.js`, { scope: `${base}/` });
  const watch = (worker: ServiceWorker | null) => {
    // The first one ever is no renewal.
    if (worker === null || navigator.serviceWorker.controller === null) return;
    const look = () => worker.state === "installed" && setRenewed(worker);
    worker.addEventListener("statechange", look);
    look();
  };
  watch(registration.waiting);
  registration.addEventListener("updatefound", () => watch(registration.installing));
}

/** What was told last comes last, too: an account that signs out and one that signs in do not cross. */
let before: Promise<unknown> = Promise.resolve();
function inTurn(work: () => Promise<void>): Promise<void> {
  const done = before.then(work);
  before = done.catch(() => undefined); // whoever asked for it hears of it
  return done;
}

/** Tells the service worker who is signed in: what it keeps, it keeps by account. */
export async function tellWho(user: string): Promise<void> {
  if (!canKeep) return;
  await inTurn(async () => {
    const cache = await caches.open(whoCache);
    await cache.put(`${base}/${whoPath}`, new Response(user));
    navigator.serviceWorker.controller?.postMessage("who");
  });
}

/**
 * Forgets what was seen of an account that is signed out: the one that the service worker was told of last, where the page
 * does not know which. Albums kept for offline stay for when they come back.
 */
export async function forgetWho(user?: string): Promise<void> {
  if (!canKeep) return;
  await inTurn(async () => {
    const told = await (await caches.match(`${base}/${whoPath}`, { cacheName: whoCache }))?.text();
    await caches.delete(whoCache);
    navigator.serviceWorker.controller?.postMessage("who");
    const gone = user ?? told;
    if (gone === undefined) return;
    await caches.delete(seenCache(gone));
    await caches.delete(coverCache(gone));
  });
}
