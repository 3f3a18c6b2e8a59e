import { expect, it } from "vitest";
import { moved, shiftOf, slotAt } from "./order";

it("puts a row where it was let go", () => {
  expect(moved(["a", "b", "c", "d"], 0, 2)).toEqual(["b", "c", "a", "d"]);
  expect(moved(["a", "b", "c", "d"], 3, 0)).toEqual(["d", "a", "b", "c"]);
  expect(moved(["a", "b"], 1, 1)).toEqual(["a", "b"]);
});

it("shows while it moves what it will be", () => {
  const rows = ["a", "b", "c", "d", "e"];
  for (let from = 0; from < rows.length; from++) {
    for (let to = 0; to < rows.length; to++) {
      const shown: string[] = [];
      rows.forEach((row, i) => (shown[i === from ? to : i + shiftOf(i, from, to)] = row));
      expect(shown).toEqual(moved(rows, from, to));
    }
  }
});

it("finds the place under the pointer, within the list", () => {
  expect(slotAt(0, 50, 10)).toBe(0);
  expect(slotAt(74, 50, 10)).toBe(1);
  expect(slotAt(76, 50, 10)).toBe(2);
  expect(slotAt(-400, 50, 10)).toBe(0);
  expect(slotAt(4_000, 50, 10)).toBe(9);
});
