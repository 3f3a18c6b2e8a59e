/** How much is asked for at once. The server's and its proxies' pieces are 1 MiB, so blocks begin and end on theirs. */
const firstBlock = 1 << 18;
const block = 1 << 21;

/** How much of what has no known length may wait to be taken, in bytes. */
const mostWaiting = 4 << 20;

/** How long to wait before the n-th try in a row, in ms, and after how many to give up: about a minute in all. */
const pauses = [100, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000, 8_000];

/** Why bytes do not come: refused (the server does not have them for us), gone (it cannot be reached). */
export class SourceError extends Error {
  constructor(
    readonly why: "refused" | "gone" | "changed" | "cut",
    message: string,
  ) {
    super(message);
  }
}

/**
 * Reads a file in ranges, each fetched whole into memory so that no connection is held while nobody wants more. What
 * breaks off is asked for again from the byte reached. What is still being made by the server has no ranges: it is
 * read as it comes, no faster than it is taken, and where that breaks off an error says "cut".
 */
export class Source {
  contentType = "";
  /** Bytes in all; undefined before the first answer, and for what is still being made. */
  size: number | undefined;
  /** The server makes it while it is read. */
  live = false;
  private etag = "";
  /** The next byte to hand out. */
  private at = 0;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private ended = false;
  private error: SourceError | undefined;
  private fetching: AbortController | undefined;
  private wake: () => void = () => undefined;
  private room: () => void = () => undefined;

  constructor(
    private readonly url: string,
    private readonly get: typeof fetch = (...args) => fetch(...args),
  ) {}

  get position(): number {
    return this.at;
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const piece = this.waiting.shift();
      if (piece !== undefined) {
        this.waitingBytes -= piece.length;
        this.at += piece.length;
        this.room();
        this.prefetch();
        return piece;
      }
      if (this.ended) return undefined;
      if (this.error !== undefined) throw this.error;
      if (this.size !== undefined && this.at >= this.size) return undefined;
      this.prefetch();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Fetches the next block if it is not under way and little is left. */
  prefetch(): void {
    const from = this.at + this.waitingBytes;
    if (this.fetching !== undefined || this.ended || this.error !== undefined || this.waitingBytes > block / 4 || (this.size !== undefined && from >= this.size)) return;
    const controller = new AbortController();
    this.fetching = controller;
    void this.fetchBlock(from, controller).catch((cause: unknown) => {
      if (this.fetching === controller) this.error = cause instanceof SourceError ? cause : new SourceError("gone", String(cause));
    }).finally(() => {
      if (this.fetching === controller) this.fetching = undefined;
      this.wake();
    });
  }

  /** Goes on from another byte. Not for what is live. */
  seek(at: number): void {
    // A little further on lies what is on its way already.
    let ahead = at - this.at;
    if (ahead >= 0 && ahead <= this.waitingBytes) {
      while (ahead > 0) {
        const piece = this.waiting[0];
        if (piece === undefined) break;
        const n = Math.min(ahead, piece.length);
        if (n === piece.length) this.waiting.shift();
        else this.waiting[0] = piece.subarray(n);
        this.waitingBytes -= n;
        ahead -= n;
      }
      this.at = at;
      return;
    }
    this.stop();
    this.at = at;
    this.waiting = [];
    this.waitingBytes = 0;
    this.ended = false;
    this.error = undefined;
  }

  /** The same file for another reader, from another byte; this one is closed. */
  from(at: number): Source {
    const other = new Source(this.url, this.get);
    other.size = this.size;
    other.etag = this.etag;
    other.contentType = this.contentType;
    other.at = at;
    this.close();
    return other;
  }

  /** Ends it: who reads gets nothing more. */
  close(): void {
    this.ended = true;
    this.waiting = [];
    this.waitingBytes = 0;
    this.stop();
  }

  private stop(): void {
    const under = this.fetching;
    this.fetching = undefined;
    under?.abort();
    this.room();
    this.wake();
  }

  private async fetchBlock(from: number, controller: AbortController): Promise<void> {
    const length = from === 0 ? firstBlock : block - (from % block);
    let at = from;
    let tries = 0;
    while (this.fetching === controller) {
      let failure: SourceError;
      try {
        at = await this.fetchFrom(at, from + length - 1, controller, () => (tries = 0));
        return;
      } catch (cause) {
        if (this.fetching !== controller) return;
        if (cause instanceof SourceError) throw cause;
        failure = new SourceError("gone", String(cause));
        at = this.at + this.waitingBytes;
      }
      if (this.live) throw new SourceError("cut", "the connection broke while the server was making this");
      const pause = pauses[tries++];
      if (pause === undefined) throw failure;
      await later(pause, controller.signal);
    }
  }

  private async fetchFrom(from: number, last: number, controller: AbortController, moved: () => void): Promise<number> {
    const headers: Record<string, string> = { Range: `bytes=${from}-${this.size === undefined ? last : Math.min(last, this.size - 1)}` };
    if (this.etag !== "") headers["If-Match"] = this.etag;
    const response = await this.get(this.url, { headers, credentials: "same-origin", signal: controller.signal });
    if (response.status === 412 || (from > 0 && response.status === 200)) {
      controller.abort();
      throw new SourceError("changed", "the file is another one now");
    }
    if (!response.ok || response.body === null) {
      // What a proxy says while a server restarts, and a server that has too much to do, may be other in a moment.
      if (response.status === 429 || response.status >= 500) throw new Error(`the server said ${response.status}`);
      throw new SourceError("refused", `the server said ${response.status}`);
    }
    this.contentType = response.headers.get("Content-Type") ?? "";
    this.etag = response.headers.get("ETag") ?? "";
    const total = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? response.headers.get("Content-Length") ?? NaN);
    if (Number.isFinite(total)) this.size = total;
    else this.live = true;

    // Whoever answers with the whole file sends more than is to be held.
    const whole = response.status === 200;
    const reader = response.body.getReader();
    let at = from;
    const promised = Number(response.headers.get("Content-Length") ?? NaN);
    for (;;) {
      const { done, value } = await reader.read();
      if (this.fetching !== controller) {
        await reader.cancel();
        return at;
      }
      if (done) break;
      at += value.length;
      this.waiting.push(value);
      this.waitingBytes += value.length;
      moved();
      this.wake();
      while (whole && this.waitingBytes > mostWaiting && this.fetching === controller) await new Promise<void>((resolve) => (this.room = resolve));
    }
    if (this.live) this.ended = true;
    else if (Number.isFinite(promised) && at - from < promised) throw new Error("the connection ended early");
    return at;
  }
}

/** Waits, but no longer than until the way to the server is back or nobody wants to know. */
function later(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal.addEventListener("abort", done, { once: true });
  });
}
