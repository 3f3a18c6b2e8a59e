import { describe, expect, it } from "vitest";
import { formatFor } from "./formats";
import { append, empty, following, insertNext, jump, make, move, neighbour, type Queue, remove, shuffleRest } from "./queue";

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

  it("asks for the original wherever the browser plays it", () => {
    expect(formatFor({ contentType: "audio/flac", codec: "flac", lossless: true }, chromium)).toBe("raw");
    expect(formatFor({ contentType: "audio/ogg", codec: "vorbis", lossless: false }, chromium)).toBe("raw");
    expect(formatFor({ contentType: "audio/ogg; codecs=opus", codec: "opus", lossless: false }, chromium)).toBe("raw");
    expect(formatFor({ contentType: "audio/mp4", codec: "aac", lossless: false }, chromium)).toBe("raw");
  });

  it("keeps what is lossless so, and makes MP3 of the rest", () => {
    expect(formatFor({ contentType: "audio/mp4", codec: "alac", lossless: true }, chromium)).toBe("flac");
    expect(formatFor({ contentType: "audio/x-wavpack", codec: "wavpack", lossless: true }, chromium)).toBe("flac");
    expect(formatFor({ contentType: "audio/x-ms-wma", codec: "wmav2", lossless: false }, chromium)).toBe("mp3");
    expect(formatFor({ contentType: "audio/x-ape", codec: "ape", lossless: true }, (t) => t === "audio/mpeg")).toBe("mp3");
  });
});
