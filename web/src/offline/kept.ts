import { createComputed, createMemo, createRoot, on } from "solid-js";
import { createStore, produce, reconcile, unwrap } from "solid-js/store";
import { ApiError, coverUrl, get, OfflineError, streamUrl } from "../api/client";
import { session } from "../api/state";
import type { AlbumReply, Track } from "../api/wire";
import { shapeFor } from "../player/formats";
import { keptCache } from "./names";
import { canKeep } from "./worker";

/** An album that is kept on this device, or on its way there. */
export interface KeptAlbum {
  readonly album: AlbumReply;
  /** Bytes of its tracks that are here. */
  bytes: number;
  /** How many of its tracks are here. */
  tracks: number;
  /** How much is here of what is being fetched, 0 to 1; undefined while nothing is. */
  progress: number | undefined;
}

const [albums, setAlbums] = createRoot(() => createStore<Record<string, KeptAlbum | undefined>>({}));
/** The account whose albums were looked for. */
let known: string | undefined;
const running = new Map<string, AbortController>();

// What one person keeps is not shown to the next, and what they still fetch is not put among the next one's.
createRoot(() => {
  const user = createMemo(() => session()?.user.id);
  createComputed(
    on(
      user,
      () => {
        for (const abort of running.values()) abort.abort();
        running.clear();
        known = undefined;
        setAlbums(reconcile({}));
      },
      { defer: true },
    ),
  );
});

export const keptAlbum = (id: string): KeptAlbum | undefined => albums[id];
export const keptAlbums = (): KeptAlbum[] => Object.values(albums).filter((a) => a !== undefined);
export const isComplete = (kept: KeptAlbum): boolean => kept.progress === undefined && kept.tracks >= playable(kept.album).length;

const playable = (album: AlbumReply): Track[] => album.tracks.filter((t) => !t.missing);

/** Everything is kept under the address it is asked for by, but without what only says in which shape. */
const trackKey = (id: string): string => streamUrl(id, {});
const absolute = (path: string): string => new URL(path, location.href).href;
const albumKey = (id: string): string => coverUrl(id, 0).replace(/covers\/.*$/, `albums/${encodeURIComponent(id)}`);

/** Finds what is kept for the account that is signed in; once is enough. */
export async function findKept(): Promise<void> {
  const user = session()?.user.id;
  if (!canKeep || user === undefined || known === user) return;
  known = user;
  let found: Record<string, KeptAlbum>;
  try {
    found = await lookFor(user);
  } catch (cause) {
    if (known === user) known = undefined; // so that it is tried again
    throw cause;
  }
  if (session()?.user.id !== user) return;
  // What is being fetched knows better how far it is.
  for (const id of running.keys()) {
    const now = unwrap(albums)[id];
    if (now !== undefined) found[id] = now;
  }
  setAlbums(reconcile(found));
}

async function lookFor(user: string): Promise<Record<string, KeptAlbum>> {
  const cache = await caches.open(keptCache(user));
  const keys = await cache.keys();
  const here = new Set(keys.map((k) => k.url));
  const found: Record<string, KeptAlbum> = {};
  for (const key of keys) {
    if (!/\/albums\/[^/]+$/.test(key.url)) continue;
    const album = (await (await cache.match(key))?.json()) as AlbumReply | undefined;
    if (album === undefined) continue;
    const have = playable(album).filter((t) => here.has(absolute(trackKey(t.id))));
    found[album.id] = { album, tracks: have.length, bytes: await sizeOf(cache, have), progress: undefined };
  }
  return found;
}

/** Bytes of tracks that are here; a blob of a cached answer is a handle, nothing is read. */
async function sizeOf(cache: Cache, tracks: readonly Track[]): Promise<number> {
  let bytes = 0;
  for (const t of tracks) bytes += (await (await cache.match(trackKey(t.id)))?.blob())?.size ?? 0;
  return bytes;
}

/** Sizes of covers that views ask for, so that they are there without a server. */
const coverSizes = [96, 256, 512] as const;

/**
 * Keeps an album on this device: every track as it is, or in what this browser can play. It goes on where it was left.
 * It rejects where the connection or the room on the device gives out; what is here by then stays.
 */
export async function keepAlbum(id: string): Promise<void> {
  const user = session()?.user;
  if (user === undefined || running.has(id)) return;
  const abort = new AbortController();
  running.set(id, abort);
  try {
    // Asked for once, and again no matter what the answer was: a browser may think otherwise of a page that is used more.
    await navigator.storage.persist();
    const album = await get<AlbumReply>(`albums/${encodeURIComponent(id)}`, undefined, abort.signal);
    const cache = await caches.open(keptCache(user.id));
    abort.signal.throwIfAborted();
    await cache.put(albumKey(id), new Response(JSON.stringify(album), { headers: { "Content-Type": "application/json" } }));
    if (album.hasCover) {
      // A picture that cannot be had is no reason to have no music.
      await Promise.allSettled(coverSizes.map((size) => cache.add(coverUrl(id, size))));
    }
    abort.signal.throwIfAborted();
    setAlbums(id, { album, bytes: 0, tracks: 0, progress: 0 });
    const tracks = playable(album);
    const total = tracks.reduce((sum, t) => sum + t.size, 0);
    let before = 0;
    for (const track of tracks) {
      const there = await cache.match(trackKey(track.id));
      const size = there === undefined ? await fetchTrack(cache, track, user.maxBitRate ?? 0, abort.signal, (bytes) => {
        if (!abort.signal.aborted) setAlbums(id, "progress", Math.min(1, (before + Math.min(bytes, track.size)) / total));
      }) : (await there.blob()).size;
      abort.signal.throwIfAborted();
      before += track.size;
      setAlbums(id, produce((kept) => {
        if (kept === undefined) return;
        kept.tracks++;
        kept.bytes += size;
        kept.progress = before / total;
      }));
    }
  } finally {
    // Whoever stopped it may have begun anew since, or be somebody else.
    if (running.get(id) === abort) {
      running.delete(id);
      if (albums[id] !== undefined) setAlbums(id, "progress", undefined);
    }
  }
}

/** Bytes between two looks at the progress bar. */
const progressStep = 1 << 18;

async function fetchTrack(cache: Cache, track: Track, maxBitRate: number, signal: AbortSignal, progress: (bytes: number) => void): Promise<number> {
  const audio = new Audio();
  const able = { canPlay: (type: string) => audio.canPlayType(type) !== "", canDecode: (codec: string) => codec === "flac" && "AudioDecoder" in globalThis };
  const { format, maxRate } = shapeFor(track, "original", maxBitRate, able);
  let response: Response;
  try {
    response = await fetch(streamUrl(track.id, { format, ...(maxRate > 0 ? { maxRate } : {}) }), { signal });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new OfflineError();
  }
  if (!response.ok || response.body === null) throw new ApiError(response.status, "unavailable", track.title);
  let bytes = 0;
  let shown = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, out) {
        bytes += piece.length;
        if (bytes - shown >= progressStep) progress((shown = bytes));
        out.enqueue(piece);
      },
    }),
  );
  await cache.put(trackKey(track.id), new Response(counted, { headers: response.headers }));
  const promised = response.headers.get("Content-Length");
  if (promised !== null && Number(promised) !== bytes) {
    await cache.delete(trackKey(track.id));
    throw new OfflineError();
  }
  return bytes;
}

/** Stops fetching an album, and takes what is here of it from the device. */
export async function dropAlbum(id: string): Promise<void> {
  running.get(id)?.abort();
  running.delete(id);
  const user = session()?.user.id;
  const kept = albums[id];
  if (user === undefined || kept === undefined) return;
  setAlbums(id, undefined);
  // A track may stand on another kept album, too: its id is its own wherever it stands.
  const elsewhere = new Set(keptAlbums().flatMap((a) => a.album.tracks.map((t) => t.id)));
  const cache = await caches.open(keptCache(user));
  for (const t of kept.album.tracks) if (!elsewhere.has(t.id)) await cache.delete(trackKey(t.id));
  await cache.delete(coverUrl(id, 0), { ignoreSearch: true });
  await cache.delete(albumKey(id));
}

export interface Room {
  /** Bytes that everything the page keeps takes. */
  readonly used: number;
  /** Bytes that the browser lets the page have. */
  readonly quota: number;
  /** Whether the browser has said that it will not clear it away by itself. */
  readonly lasting: boolean;
}

export async function room(): Promise<Room> {
  const [{ usage = 0, quota = 0 }, lasting] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
  return { used: usage, quota, lasting };
}
