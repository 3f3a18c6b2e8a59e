/** 3:05 or 1:02:03. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const s = String(total % 60).padStart(2, "0");
  const m = Math.floor(total / 60) % 60;
  const h = Math.floor(total / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** "3 minutes 5 seconds", for those who listen to the page instead of seeing it. */
export function spoken(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(total / 3600), "hour"],
    [Math.floor(total / 60) % 60, "minute"],
    [total % 60, "second"],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => count(n, unit));
  return said.length === 0 ? "0 seconds" : said.join(" ");
}

/** "1 h 12 min" or "45 min". */
export function about(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  const h = Math.floor(minutes / 60);
  if (h >= 48) return `${Math.round(h / 24).toLocaleString()} days`;
  return h > 0 ? `${h} h ${minutes % 60} min` : `${minutes} min`;
}

export const count = (n: number, one: string): string => `${n.toLocaleString()} ${one}${n === 1 ? "" : "s"}`;

/** "1.4 GB", in powers of a thousand as disks are sold. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  let v = n;
  while (v >= 1000 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return `${v >= 100 || i === 0 ? Math.round(v) : v.toFixed(1)} ${units[i] ?? ""}`;
}

/** "3 Nov 2026", as the browser's language writes it. */
export const day = (time: string): string => new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });

export const year = (date?: string): string => date?.slice(0, 4) ?? "";
