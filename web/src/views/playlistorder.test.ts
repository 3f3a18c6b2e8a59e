import { expect, it } from "vitest";
import type { Track } from "../api/wire";
import { sorted, withoutDuplicates } from "./playlistorder";

const track = (id: string, more: Partial<Track>): { track: Track } => ({ track: { id, title: id, artist: "A", artists: [], durationMs: 1, ...more } as Track });
const ids = (rows: readonly { track: Track }[]) => rows.map((r) => r.track.id).join("");

const rows = [
  track("c", { title: "Émile", artist: "Zo", album: "Two", albumId: "2", track: 2, date: "2001", durationMs: 30 }),
  track("a", { title: "Track 10", artist: "Abe", album: "Two", albumId: "2", track: 1, date: "1999-05", durationMs: 20 }),
  track("b", { title: "Track 9", artist: "abe", album: "One", albumId: "1", disc: 2, track: 1, durationMs: 10 }),
  track("d", { title: "emil", artist: "Abe", album: "One", albumId: "1", track: 9, originalDate: "1950", date: "2020", durationMs: 40 }),
];

it("sorts as people do: without regard to case and marks, numbers by their size", () => {
  expect(ids(sorted(rows, "title", "en"))).toBe("dcba");
  expect(ids(sorted(rows, "artist", "en"))).toBe("dbac");
});

it("keeps an album's own order", () => {
  expect(ids(sorted(rows, "album", "en"))).toBe("dbac");
});

it("sorts by the first release, and what has no year last", () => {
  expect(ids(sorted(rows, "year", "en"))).toBe("dacb");
  expect(ids(sorted(rows, "duration", "en"))).toBe("bacd");
  expect(ids(sorted(rows, "reverse", "en"))).toBe("dbac");
});

it("keeps the first of what stands in it twice", () => {
  const twice = [...rows, rows[0] ?? track("x", {}), track("b", {})];
  expect(ids(withoutDuplicates(twice))).toBe("cabd");
});
