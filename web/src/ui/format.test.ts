import { expect, it } from "vitest";
import { about, bytes, clock, spoken, year } from "./format";

it("writes times as players do", () => {
  expect(clock(0)).toBe("0:00");
  expect(clock(185_400)).toBe("3:05");
  expect(clock(3_723_000)).toBe("1:02:03");
  expect(clock(-5)).toBe("0:00");
  expect(clock(59_600)).toBe("1:00");
});

it("says times in words", () => {
  expect(spoken(185_000)).toBe("3 minutes 5 seconds");
  expect(spoken(3_600_000)).toBe("1 hour");
  expect(spoken(200)).toBe("0 seconds");
  expect(about(45 * 60_000)).toBe("45 min");
  expect(about(72 * 60_000)).toBe("1 hr 12 min");
  expect(about(72 * 3_600_000)).toBe("3 days");
});

it("writes sizes and years", () => {
  expect(bytes(999)).toBe("999 bytes");
  expect(bytes(148_000_000)).toBe("148 MB");
  expect(bytes(1_440_000_000)).toBe("1.4 GB");
  expect(year("1999-05-01")).toBe("1999");
  expect(year()).toBe("");
});
