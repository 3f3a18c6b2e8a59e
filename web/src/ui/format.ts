import { tag } from "../words";

/** 3:05 or 1:02:03. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const s = String(total % 60).padStart(2, "0");
  const m = Math.floor(total / 60) % 60;
  const h = Math.floor(total / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

type Unit = "day" | "hour" | "minute" | "second" | "byte" | "kilobyte" | "megabyte" | "gigabyte" | "terabyte";

/** A number with its unit, as the language writes both. */
const measure = (n: number, unit: Unit, unitDisplay: "long" | "short", digits = 0): string =>
  n.toLocaleString(tag(), { style: "unit", unit, unitDisplay, minimumFractionDigits: digits, maximumFractionDigits: digits });

/** "3 minutes 5 seconds", for those who listen to the page instead of seeing it. */
export function spoken(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const parts: [number, Unit][] = [
    [Math.floor(total / 3600), "hour"],
    [Math.floor(total / 60) % 60, "minute"],
    [total % 60, "second"],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => measure(n, unit, "long"));
  return said.length === 0 ? measure(0, "second", "long") : said.join(" ");
}

/** "1 hr 12 min" or "45 min", as the language shortens them. */
export function about(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  const h = Math.floor(minutes / 60);
  if (h >= 48) return measure(Math.round(h / 24), "day", "short");
  return h > 0 ? `${measure(h, "hour", "short")} ${measure(minutes % 60, "minute", "short")}` : measure(minutes, "minute", "short");
}

/** "1.4 GB", in powers of a thousand as disks are sold. */
export function bytes(n: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  let i = 0;
  let v = n;
  while (v >= 1000 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return measure(v, units[i] ?? "byte", i === 0 ? "long" : "short", v >= 100 || i === 0 ? 0 : 1);
}

/** "3 Nov 2026", as the language writes it. */
export const day = (time: string): string => new Date(time).toLocaleDateString(tag(), { day: "numeric", month: "short", year: "numeric" });

export const year = (date?: string): string => date?.slice(0, 4) ?? "";
