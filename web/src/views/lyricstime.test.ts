import { expect, it } from "vitest";
import type { Lyrics } from "../api/wire";
import { lineAt, nextChange, partsOf } from "./lyricstime";

const lyrics: Lyrics = {
  lang: "eng",
  synced: true,
  offsetMs: 100,
  lines: [
    { startMs: 1_000, text: "One" },
    { startMs: 2_000, text: "Två ord", cues: [{ startMs: 2_000, from: 0, to: 4 }, { startMs: 2_500, from: 5, to: 8 }] },
    { startMs: 4_000, text: "" },
  ],
};

it("knows the line of a time, shown earlier by the offset", () => {
  expect(lineAt(lyrics, 0)).toBe(-1);
  expect(lineAt(lyrics, 899)).toBe(-1);
  expect(lineAt(lyrics, 900)).toBe(0);
  expect(lineAt(lyrics, 1_899)).toBe(0);
  expect(lineAt(lyrics, 1_900)).toBe(1);
  expect(lineAt(lyrics, 60_000)).toBe(2);
});

it("cuts a line at its cues, which count bytes", () => {
  expect(partsOf(lyrics, lyrics.lines[1] ?? { text: "" })).toEqual([
    { text: "Två", startMs: 1_900 },
    { text: " ", startMs: 1_900 },
    { text: "ord", startMs: 2_400 },
  ]);
  expect(partsOf(lyrics, { startMs: 1, text: "whole" })).toEqual([{ text: "whole", startMs: undefined }]);
});

it("keeps every letter, whatever the cues say", () => {
  const odd = { text: "日本語の歌", cues: [{ startMs: 5, from: 3, to: 6 }, { startMs: 9, from: 6, to: 400 }, { startMs: 12, from: 2, to: 4 }] };
  expect(partsOf({}, { ...odd, cues: odd.cues.slice(0, 2) }).map((p) => p.text).join("")).toBe(odd.text);
});

it("says when to look again", () => {
  expect(nextChange(lyrics, 0)).toBe(900);
  expect(nextChange(lyrics, 1_950)).toBe(2_400);
  expect(nextChange(lyrics, 2_400)).toBe(3_900);
  expect(nextChange(lyrics, 3_900)).toBeUndefined();
});
