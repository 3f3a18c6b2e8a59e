import { tag } from "../words";

/** A date as far as it is known, YYYY, YYYY-MM or YYYY-MM-DD, as the reader's language writes it. */
export function dateText(date: string): string {
  const [year, month, day] = date.split("-").map(Number);
  if (year === undefined || !Number.isInteger(year)) return date;
  // Noon in UTC is the same day from Honolulu to Auckland; shown in UTC it is the same everywhere.
  const at = new Date(Date.UTC(year, (month ?? 1) - 1, day ?? 1, 12));
  if (Number.isNaN(at.getTime())) return date;
  const parts: Intl.DateTimeFormatOptions = { year: "numeric", timeZone: "UTC" };
  if (month !== undefined) parts.month = "long";
  if (day !== undefined) parts.day = "numeric";
  return month === undefined ? String(year) : at.toLocaleDateString(tag(), parts);
}
