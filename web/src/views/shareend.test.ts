import { expect, it } from "vitest";
import { endOf, fieldDate } from "./shareend";

it("ends when it says, and on a chosen day at its end", () => {
  const now = Date.UTC(2026, 10, 23, 12);
  expect(endOf("never", "2026-12-01", now)).toBeUndefined();
  expect(endOf("day", "", now)).toBe("2026-11-24T12:00:00.000Z");
  expect(endOf("week", "", now)).toBe("2026-11-30T12:00:00.000Z");
  expect(endOf("month", "", now)).toBe("2026-12-23T12:00:00.000Z");
  const end = new Date(endOf("date", "2026-12-01", now) ?? "");
  expect(fieldDate(end)).toBe("2026-12-01");
  expect(end.getHours()).toBe(23);
});
