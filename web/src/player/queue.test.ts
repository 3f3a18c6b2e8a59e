import { describe, expect, it } from "vitest";
import { shapeFor } from "./formats";
import { append, empty, following, insertAt, insertNext, jump, make, move, neighbour, type Queue, remove, shuffleRest } from "./queue";

const names = (q: Queue<string>) => q.entries.map((e) => e.track).join("");
const playing = (q: Queue<string>) => q.entries[q.current]?.track;

/** A small generator with a seed (xorshift32), so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

describe("queue", () => {
  it("starts where it is told, and never outside", () => {
    expect(playing(make([..."abc"], 1))).toBe("b");
    expect(playing(make([..."abc"], 9))).toBe("c");
    expect(playing(make([..."abc"], -3))).toBe("a");
    expect(make([])).toBe(empty);
  });

  it("appends at the end and inserts behind what plays", () => {
    const q = jump(make([..."abc"]), 1);
    expect(names(append(q, ["x", "y"]))).toBe("abcxy");
    expect(names(insertNext(q, ["x", "y"]))).toBe("abxyc");
    expect(playing(append(empty, ["x", "y"]))).toBe("x");
    expect(playing(insertNext(empty, ["x"]))).toBe("x");
  });

  it("inserts anywhere, and what plays goes on playing", () => {
    const q = jump(make([..."abc"]), 1);
    expect(names(insertAt(q, ["x", "y"], 1))).toBe("axybc");
    expect(playing(insertAt(q, ["x", "y"], 1))).toBe("b");
    expect(names(insertAt(q, ["x"], 99))).toBe("abcx");
    expect(playing(insertAt(q, ["x"], 99))).toBe("b");
    expect(playing(insertAt(empty, ["x", "y"], 7))).toBe("x");
  });

  it("lets the next one play when the one that plays is removed", () => {
    const q = jump(make([..."abc"]), 1);
    const key = (i: number) => q.entries[i]?.key ?? -1;
    expect(playing(remove(q, key(1)))).toBe("c");
    expect(playing(remove(q, key(0)))).toBe("b");
    expect(playing(remove(q, key(2)))).toBe("b");
    expect(playing(remove(jump(q, 2), key(2)))).toBe("b");
    expect(remove(q, -1)).toBe(q);
    const one = make(["a"]);
    expect(remove(one, one.entries[0]?.key ?? -1).current).toBe(-1);
  });

  it("steps, and wraps only when repeating", () => {
    const q = jump(make([..."abc"]), 2);
    expect(neighbour(q, 1, "off")).toBeUndefined();
    expect(neighbour(q, 1, "all")).toBe(0);
    expect(neighbour(jump(q, 0), -1, "all")).toBe(2);
    expect(neighbour(jump(q, 0), -1, "off")).toBeUndefined();
    expect(following(q, "one")).toBe(2);
    expect(following(q, "off")).toBeUndefined();
    expect(following(jump(q, 0), "off")).toBe(1);
    expect(following(empty, "all")).toBeUndefined();
  });

  it("keeps what played when it shuffles", () => {
    const q = jump(make([..."abcdefgh"]), 2);
    const mixed = shuffleRest(q, seeded(7));
    expect(names(mixed).slice(0, 3)).toBe("abc");
    expect(names(mixed)).not.toBe(names(q));
    expect([...names(mixed)].sort().join("")).toBe("abcdefgh");
  });

  it("holds its promises whatever is done to it", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed * 2654435761);
      const below = (n: number) => Math.floor(random() * n);
      let q: Queue<string> = empty;
      for (let step = 0; step < 40; step++) {
        const before = q.entries[q.current];
        const n = q.entries.length;
        switch (below(6)) {
          case 0:
            q = append(q, [..."xy"]);
            break;
          case 1:
            q = insertNext(q, ["z"]);
            break;
          case 2: {
            const victim = q.entries[below(n + 1)];
            q = remove(q, victim?.key ?? -1);
            if (before !== undefined && victim !== before) expect(q.entries[q.current]).toBe(before);
            break;
          }
          case 3:
            q = move(q, below(n + 2) - 1, below(n + 2) - 1);
            expect(q.entries[q.current]).toBe(before);
            break;
          case 4:
            q = shuffleRest(q, random);
            expect(q.entries[q.current]).toBe(before);
            break;
          default:
            q = jump(q, below(n + 2) - 1);
        }
        expect(q.entries.length === 0 ? q.current === -1 : q.current >= 0 && q.current < q.entries.length).toBe(true);
        expect(new Set(q.entries.map((e) => e.key)).size).toBe(q.entries.length);
      }
    }
  });
});

describe("formats", () => {
  const chromium = (type: string) => ["audio/flac", "audio/mpeg", 'audio/ogg; codecs="vorbis"', 'audio/ogg; codecs="opus"', 'audio/mp4; codecs="mp4a.40.2"'].includes(type);
  const able = { canPlay: chromium, canDecode: () => false };
  const format = (codec: string, contentType: string, lossless: boolean, canPlay = chromium) => shapeFor({ contentType, codec, lossless }, "original", 0, { ...able, canPlay }).format;

  it("asks for the original wherever the browser plays it", () => {
    expect(format("flac", "audio/flac", true)).toBe("raw");
    expect(format("vorbis", "audio/ogg", false)).toBe("raw");
    expect(format("opus", "audio/ogg; codecs=opus", false)).toBe("raw");
    expect(format("aac", "audio/mp4", false)).toBe("raw");
    expect(shapeFor({ contentType: "audio/aiff", codec: "pcm", lossless: true }, "original", 0, { canPlay: () => false, canDecode: (c) => c === "pcm" }).format).toBe("raw");
  });

  it("keeps what is lossless so, and makes of the rest what the browser plays", () => {
    expect(format("alac", "audio/mp4", true)).toBe("flac");
    expect(format("wavpack", "audio/x-wavpack", true)).toBe("flac");
    expect(format("wmav2", "audio/x-ms-wma", false)).toBe("opus");
    expect(format("wmav2", "audio/x-ms-wma", false, (t) => t === "audio/mpeg")).toBe("mp3");
    expect(format("ape", "audio/x-ape", true, (t) => t === "audio/mpeg")).toBe("mp3");
  });

  it("keeps within the device's quality and the account's limit", () => {
    const flac = { contentType: "audio/flac", codec: "flac", lossless: true, bitRate: 900 };
    const opus = { contentType: "audio/ogg", codec: "opus", lossless: false, bitRate: 96 };
    expect(shapeFor(flac, 192, 0, able)).toEqual({ format: "opus", maxRate: 192, why: "quality" });
    expect(shapeFor(flac, "original", 128, able)).toEqual({ format: "opus", maxRate: 128, why: "account" });
    expect(shapeFor(flac, 96, 128, able)).toEqual({ format: "opus", maxRate: 96, why: "quality" });
    expect(shapeFor(opus, 96, 0, able).format).toBe("raw");
    expect(shapeFor({ ...flac, codec: "alac", contentType: "audio/mp4" }, "original", 1000, able).format).toBe("opus");
  });
});
