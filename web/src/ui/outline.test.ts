import { expect, it } from "vitest";
import { barsOf, pathOf } from "./outline";

it("draws what is loudest full height, and the highest point of what a bar stands for", () => {
  expect(barsOf([0.1, 0.5, 0.2, 0.25], 2)).toEqual([1, 0.5]);
  expect(barsOf([0.5, 0.25], 4)).toEqual([1, 1, 0.5, 0.5]);
});

it("draws silence as a line", () => {
  const bars = barsOf([0, 0, 0], 3);
  expect(bars).toHaveLength(3);
  expect(bars.every((b) => b > 0 && b < 0.1)).toBe(true);
  expect(barsOf([], 2)).toHaveLength(2);
});

it("is mirrored about the middle and stays in its box", () => {
  expect(pathOf([1, 0.5], 4, 42, 2)).toBe("M2.0 1.0V41.0M6.0 11.0V31.0");
});
