import { expect, test } from "vitest";
import { byteRange } from "./names";

test.each([
  ["bytes=0-99", { start: 0, end: 100 }],
  ["bytes=900-", { start: 900, end: 1000 }],
  ["bytes=900-5000", { start: 900, end: 1000 }],
  ["bytes=-100", { start: 900, end: 1000 }],
  ["bytes=-5000", { start: 0, end: 1000 }],
  ["bytes=999-999", { start: 999, end: 1000 }],
  ["bytes=1000-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=5-4", undefined],
  ["bytes=-", undefined],
  ["bytes=0-1,5-6", undefined],
  ["items=0-1", undefined],
  [null, undefined],
])("of 1000 bytes, %s is %o", (header, range) => {
  expect(byteRange(header, 1000)).toEqual(range);
});
