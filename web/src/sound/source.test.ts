import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Source } from "./source";

const file = Uint8Array.from({ length: 6_000_000 }, (_, i) => (i * 2654435761) >>> 24);

interface Fault {
  /** Breaks the n-th answer off after so many bytes. */
  breaks?: Map<number, number>;
  /** Refuses the n-th request with this status. */
  refuses?: Map<number, number>;
  etag?: (n: number) => string;
}

/** A server with one file, as fetch. */
function serve(fault: Fault = {}): { get: typeof fetch; ranges: string[] } {
  const ranges: string[] = [];
  const get = ((_url: string, init: RequestInit) => {
    const headers = init.headers as Record<string, string>;
    const n = ranges.push(headers.Range ?? "") - 1;
    const status = fault.refuses?.get(n);
    if (status === 0) return Promise.reject(new TypeError("no network"));
    if (status !== undefined) return Promise.resolve(new Response("", { status }));
    const etag = fault.etag?.(n) ?? '"one"';
    if (headers["If-Match"] !== undefined && headers["If-Match"] !== etag) return Promise.resolve(new Response("", { status: 412 }));
    const [, first = 0, last = 0] = (/bytes=(\d+)-(\d+)/.exec(headers.Range ?? "") ?? []).map(Number);
    const body = file.subarray(first, Math.min(last + 1, file.length));
    const until = fault.breaks?.get(n);
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(c) {
        if (until !== undefined && at >= until) {
          c.error(new TypeError("the connection broke"));
          return;
        }
        if (at >= body.length) {
          c.close();
          return;
        }
        const piece = body.slice(at, Math.min(at + 50_000, until ?? body.length));
        at += piece.length;
        c.enqueue(piece);
      },
    });
    return Promise.resolve(new Response(stream, { status: 206, headers: { "Content-Range": `bytes ${first}-${first + body.length - 1}/${file.length}`, "Content-Length": String(body.length), ETag: etag } }));
  }) as typeof fetch;
  return { get, ranges };
}

async function all(s: Source): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let p = await s.read(); p !== undefined; p = await s.read()) pieces.push(p);
  return Buffer.concat(pieces);
}

describe("a source", () => {
  beforeEach(() => {
    // Pauses pass at once.
    vi.stubGlobal("setTimeout", (f: () => void) => (queueMicrotask(f), 0));
    vi.stubGlobal("addEventListener", () => undefined);
    vi.stubGlobal("removeEventListener", () => undefined);
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("reads a file whole, in ranges that end on the server's pieces", async () => {
    const { get, ranges } = serve();
    const got = await all(new Source("/a", get));
    expect(Buffer.compare(got, file)).toBe(0);
    expect(ranges).toEqual(["bytes=0-262143", "bytes=262144-2097151", "bytes=2097152-4194303", "bytes=4194304-5999999"]);
  });

  it("goes on from the byte reached when the connection breaks, however often", async () => {
    const { get, ranges } = serve({ breaks: new Map([[0, 70_000], [1, 10], [3, 333_333]]), refuses: new Map([[4, 503], [5, 0]]) });
    const got = await all(new Source("/a", get));
    expect(Buffer.compare(got, file)).toBe(0);
    expect(ranges.slice(0, 3)).toEqual(["bytes=0-262143", "bytes=70000-262143", "bytes=70010-262143"]);
  });

  it("gives up where the server refuses, and when nothing comes for long", async () => {
    await expect(all(new Source("/a", serve({ refuses: new Map([[0, 404]]) }).get))).rejects.toMatchObject({ why: "refused" });
    const dead = serve({ refuses: new Map(Array.from({ length: 99 }, (_, i) => [i, 0] as const)) });
    await expect(all(new Source("/a", dead.get))).rejects.toMatchObject({ why: "gone" });
    expect(dead.ranges.length).toBe(13);
  });

  it("notices that the file was replaced", async () => {
    const { get } = serve({ etag: (n) => (n < 2 ? '"one"' : '"two"') });
    await expect(all(new Source("/a", get))).rejects.toMatchObject({ why: "changed" });
  });

  it("goes elsewhere when told, and reads what is on its way already without asking again", async () => {
    const { get, ranges } = serve();
    const s = new Source("/a", get);
    await s.read();
    s.seek(100_000);
    expect(Buffer.compare((await s.read()) ?? new Uint8Array(), file.subarray(100_000, 100_000 + 50_000))).toBe(0);
    s.seek(5_000_000);
    const rest = await all(s);
    expect(Buffer.compare(rest, file.subarray(5_000_000))).toBe(0);
    expect(ranges.at(-1)).toBe("bytes=5000000-5999999");
  });

  it("reads what is still being made, and says where that breaks off", async () => {
    const live = (breaks: boolean) =>
      (() => {
        let at = 0;
        const stream = new ReadableStream<Uint8Array>({
          pull(c) {
            if (at >= 500_000) {
              if (breaks) c.error(new TypeError("broken"));
              else c.close();
              return;
            }
            c.enqueue(file.slice(at, at + 50_000));
            at += 50_000;
          },
        });
        return Promise.resolve(new Response(stream, { status: 200 }));
      }) as unknown as typeof fetch;
    const whole = new Source("/a", live(false));
    expect((await all(whole)).length).toBe(500_000);
    expect(whole.live).toBe(true);
    await expect(all(new Source("/a", live(true)))).rejects.toMatchObject({ why: "cut" });
  });

  it("gives nothing to who was reading when it was closed", async () => {
    const never = (() => new Promise<Response>(() => undefined)) as typeof fetch;
    const s = new Source("/a", never);
    const reading = s.read();
    s.close();
    expect(await reading).toBeUndefined();
  });
});
