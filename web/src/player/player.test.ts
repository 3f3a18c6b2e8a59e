import { describe, expect, it } from "vitest";
import type { Track } from "../api/wire";
import { continues, gainDb, gainMode, linear } from "./gain";
import { make } from "./queue";
import { defaults, readSettings } from "./settings";

const track = (id: string, more: Partial<Track> = {}): Track => ({
  id, title: id, artist: "", artists: [], hasLyrics: false, hasCover: false, durationMs: 1000, library: "", path: "", size: 1, suffix: "flac", contentType: "audio/flac", codec: "flac", lossless: true, ...more,
});

describe("loudness", () => {
  const as = { preampDb: 0, protectPeaks: true };
  it("leaves what is not tagged as it is, the preamplifier included", () => {
    expect(gainDb(undefined, "track", { ...as, preampDb: 6 })).toBe(0);
    expect(gainDb({ track: -7 }, "off", as)).toBe(0);
    expect(linear(gainDb({}, "album", as))).toBe(1);
  });
  it("takes the track's or the album's, and the other where one is missing", () => {
    const gain = { track: -7, album: -5 };
    expect(gainDb(gain, "track", as)).toBe(-7);
    expect(gainDb(gain, "album", as)).toBe(-5);
    expect(gainDb({ track: -7 }, "album", as)).toBe(-7);
    expect(gainDb({ album: -5 }, "track", as)).toBe(-5);
    expect(linear(-6)).toBeCloseTo(0.501187, 6);
  });
  it("never amplifies beyond full scale, unless told so", () => {
    expect(gainDb({ track: 6, trackPeak: 0.7 }, "track", as)).toBeCloseTo(-20 * Math.log10(0.7), 9);
    expect(gainDb({ track: 6 }, "track", as)).toBe(0);
    expect(gainDb({ track: 6 }, "track", { ...as, protectPeaks: false })).toBe(6);
    expect(gainDb({ track: -3, trackPeak: 1 }, "track", { ...as, preampDb: 5 })).toBe(0);
    expect(gainDb({ track: -9, trackPeak: 1.2 }, "track", as)).toBe(-9);
    // The album's peak belongs to the album's gain.
    expect(gainDb({ album: 6, albumPeak: 0.9, track: 3, trackPeak: 0.2 }, "album", as)).toBeCloseTo(-20 * Math.log10(0.9), 9);
  });
  it("takes the album's while the queue plays an album in order", () => {
    const disc = (albumId: string, n: number, more: Partial<Track> = {}) => track(`${albumId}${n}`, { albumId, track: n, ...more });
    const q = make([disc("a", 1), disc("a", 2), disc("b", 5), disc("a", 4), disc("a", 3)]).entries;
    expect(q.map((_, i) => gainMode(q, i, "auto"))).toEqual(["album", "album", "track", "track", "track"]);
    expect(gainMode(q, 2, "album")).toBe("album");
    expect(continues(disc("a", 9, { disc: 1 }), disc("a", 1, { disc: 2 }))).toBe(true);
    expect(continues(disc("a", 1), disc("b", 2))).toBe(false);
  });
});

describe("settings", () => {
  it("takes what was kept as far as it makes sense", () => {
    expect(readSettings(null)).toEqual(defaults);
    expect(readSettings("{nonsense")).toEqual(defaults);
    expect(readSettings("null")).toEqual(defaults);
    expect(readSettings('{"quality":192,"gain":"loud","preampDb":99,"protectPeaks":"yes","crossfadeMs":-5}')).toEqual({ ...defaults, quality: 192, preampDb: 6, crossfadeMs: 0 });
  });
});
