import { expect, test } from "vitest";
import { albumLoudness, heardFacts, keyName } from "./heard";

test("keys are written as readers know them", () => {
  expect(keyName("F#m")).toBe("F♯ minor");
  expect(keyName("Bb")).toBe("B♭ major");
  expect(keyName("o")).toBe("o");
});

test("silence has nothing to tell", () => {
  expect(heardFacts(undefined)).toEqual([]);
  expect(heardFacts({ loudness: -70, range: 0, truePeak: -327 })).toEqual([]);
  expect(heardFacts({ loudness: -14.23, range: 6, truePeak: 0.4, tempo: 96.04, key: "C" }).map(([, v]) => v)).toEqual(["-14.2 LUFS", "6.0 LU", "0.4 dBTP", "96 beats a minute", "C major"]);
});

test("an album is as loud as its tracks' power, and unknown while one of them is", () => {
  const track = (loudness: number, durationMs: number) => ({ durationMs, sound: { loudness, range: 1, truePeak: 0 } });
  expect(albumLoudness([track(-10, 1000), track(-20, 1000)])).toBeCloseTo(-12.6, 1);
  expect(albumLoudness([track(-10, 1000), track(-70, 9000)])).toBeCloseTo(-10);
  expect(albumLoudness([track(-10, 1000), { durationMs: 5 }])).toBeUndefined();
  expect(albumLoudness([track(-70, 1000)])).toBeUndefined();
});
