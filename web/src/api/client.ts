import { seenHeader } from "../offline/names";
import { t } from "../words";
import type { Problem } from "./wire";

/** The path under which the server stands, without a slash at the end; the server writes it into index.html. */
export const base = document.querySelector<HTMLMetaElement>('meta[name="base"]')?.content ?? "";

const root = `${base}/api/v1`;

/** A request that the server refused. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: Problem["kind"],
    message: string,
    readonly retryAfterSeconds = 0,
  ) {
    super(message);
  }
}

/** A request that never reached the server. */
export class OfflineError extends Error {
  constructor() {
    super(t("house.unreachable"));
  }
}

/** A list is the same parameter several times. */
type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

function address(path: string, query: Query = {}): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === "object") for (const one of value) q.append(name, one);
    else if (value !== undefined) q.set(name, String(value));
  }
  const tail = q.toString();
  return `${root}/${path}${tail === "" ? "" : `?${tail}`}`;
}

/** What to do when the server says that nobody is signed in (any more). */
let onSignedOut = (): void => undefined;
export function whenSignedOut(fn: () => void): void {
  onSignedOut = fn;
}

/** What to do when a request finds no server, or one that is not ready. */
let onLost = (): void => undefined;
export function whenLost(fn: () => void): void {
  onLost = fn;
}

/** Whether a failure is of the way to the server (a proxy's answers to say so included), and not of what was asked. */
export const isUnreachable = (cause: unknown): boolean => cause instanceof OfflineError || (cause instanceof ApiError && cause.status >= 502 && cause.status <= 504);

interface Options {
  body?: unknown;
  signal?: AbortSignal;
  keepalive?: boolean;
}

async function request(method: string, url: string, options: Options = {}): Promise<unknown> {
  const init: RequestInit = { method, credentials: "same-origin", keepalive: options.keepalive ?? false };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    onLost();
    throw new OfflineError();
  }
  // Shown, but known to be what was: the way to the server is gone.
  if (response.headers.has(seenHeader)) onLost();
  if (response.ok) return response.status === 204 ? undefined : response.json();
  throw await failure(response);
}

async function failure(response: Response): Promise<ApiError> {
  let detail = t("house.refused");
  let kind: Problem["kind"] = response.status >= 500 ? "unavailable" : "invalid";
  if (response.headers.get("Content-Type")?.includes("json")) {
    const problem = (await response.json()) as Partial<Problem>;
    detail = problem.detail ?? detail;
    kind = problem.kind ?? kind;
  }
  if (response.status === 401) onSignedOut();
  return new ApiError(response.status, kind, sentence(detail), Number(response.headers.get("Retry-After") ?? 0));
}

/** The server's messages begin in lower case and have no full stop, so that they can stand inside other text. */
export function sentence(text: string): string {
  const s = text.trim();
  return s === "" ? s : s.charAt(0).toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".");
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  request("GET", address(path, query), signal ? { signal } : {}) as Promise<T>;

export const send = <T = undefined>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown, keepalive = false): Promise<T> =>
  request(method, address(path), { body, keepalive }) as Promise<T>;

export const coverUrl = (id: string, size: number): string => address(`covers/${encodeURIComponent(id)}`, { size });

export const streamUrl = (id: string, query: { format?: string; maxRate?: number; offsetMs?: number }): string =>
  address(`tracks/${encodeURIComponent(id)}/stream`, query);

/** A station's audio, relayed by the server: the page's policy lets it speak to no other. */
export const stationUrl = (id: string): string => address(`stations/${encodeURIComponent(id)}/stream`);

/** What happens, as it happens: server-sent events. */
export const eventsUrl = (): string => address("events");

export const roomEventsUrl = (): string => address("rooms/events");

/** Where a page joins a room, by WebSocket. */
export function roomPlayUrl(room: string, player: string, name: string): string {
  const url = new URL(address(`rooms/${encodeURIComponent(room)}/play`, { player, name }), location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
