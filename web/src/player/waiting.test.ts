import { expect, test } from "vitest";
import { parsePlays } from "./waiting";

test("plays that wait are read as far as they are plays", () => {
  const one = { track: "tr-1", at: "2026-11-23T10:00:00.000Z" };
  expect(parsePlays(JSON.stringify([one, { track: 7, at: "x" }, null, "tr-2", { track: "tr-3" }]))).toEqual([one]);
  expect(parsePlays(null)).toEqual([]);
  expect(parsePlays("[{")).toEqual([]);
  expect(parsePlays('{"track":"tr-1"}')).toEqual([]);
});
