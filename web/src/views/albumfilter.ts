/** What the albums are narrowed to, as the address says it. */
export interface AlbumFilter {
  order: string;
  genres: readonly string[];
  /** Years, both included; 0 is no bound. */
  from: number;
  to: number;
  /** Suffixes of files, in lower case. */
  formats: readonly string[];
}

const yearOf = (text: string | null): number => {
  const n = Number(text ?? "");
  return Number.isInteger(n) && n > 0 && n <= 9999 ? n : 0;
};

const listOf = (query: URLSearchParams, name: string): string[] => [...new Set(query.getAll(name).filter((x) => x !== ""))];

export const filterOf = (query: URLSearchParams): AlbumFilter => ({
  order: query.get("order") ?? "newest",
  genres: listOf(query, "genre"),
  from: yearOf(query.get("from")),
  to: yearOf(query.get("to")),
  formats: listOf(query, "format"),
});

/** The address's query, with its question mark; "" where everything is as it is by itself. */
export function queryOf(f: AlbumFilter): string {
  const q = new URLSearchParams();
  if (f.order !== "newest") q.set("order", f.order);
  for (const g of f.genres) q.append("genre", g);
  if (f.from > 0) q.set("from", String(f.from));
  if (f.to > 0) q.set("to", String(f.to));
  for (const x of f.formats) q.append("format", x);
  return q.size > 0 ? `?${q}` : "";
}

/** What the server is asked. */
export function albumQuery(f: AlbumFilter): Record<string, string | number | readonly string[] | undefined> {
  // Newest year first: the API counts down where the first year is the later one.
  const years: { fromYear?: number | undefined; toYear?: number | undefined } =
    f.order === "byYear" ? { fromYear: f.to || 9999, toYear: f.from || 1 } : { fromYear: f.from || undefined, toYear: f.to || undefined };
  return { order: f.order, genre: f.genres, format: f.formats, ...years };
}
