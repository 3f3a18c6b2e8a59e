import type { Track } from "../api/wire";

/** By what a playlist can be put in order, once. */
export const sorts = ["title", "artist", "album", "year", "duration", "reverse"] as const;
export type Sort = (typeof sorts)[number];

/** The rows in another order; those that the order does not tell apart stay as they were. */
export function sorted<T extends { readonly track: Track }>(rows: readonly T[], by: Sort, locale: string): T[] {
  if (by === "reverse") return rows.toReversed();
  const names = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });
  const place = (a: Track, b: Track) => (a.disc ?? 1) - (b.disc ?? 1) || (a.track ?? 0) - (b.track ?? 0);
  const album = (a: Track, b: Track) => names.compare(a.album ?? "", b.album ?? "") || (a.albumId ?? "").localeCompare(b.albumId ?? "") || place(a, b);
  const compare: Record<Exclude<Sort, "reverse">, (a: Track, b: Track) => number> = {
    title: (a, b) => names.compare(a.sortTitle ?? a.title, b.sortTitle ?? b.title),
    artist: (a, b) => names.compare(a.artist, b.artist) || album(a, b),
    album,
    // What has no year comes last.
    year: (a, b) => (a.originalDate ?? a.date ?? "9999").localeCompare(b.originalDate ?? b.date ?? "9999") || album(a, b),
    duration: (a, b) => a.durationMs - b.durationMs,
  };
  return rows.toSorted((a, b) => compare[by](a.track, b.track));
}

/** The rows with every track once, where it first stands. */
export function withoutDuplicates<T extends { readonly track: Track }>(rows: readonly T[]): T[] {
  const seen = new Set<string>();
  return rows.filter((r) => !seen.has(r.track.id) && seen.add(r.track.id));
}
