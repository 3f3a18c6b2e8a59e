/** Without case and accents, as the server compares, too. */
export const fold = (s: string): string => s.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const wordsOf = (s: string): string[] => fold(s).split(/[^\p{L}\p{N}]+/u).filter((w) => w !== "");

/** Whether every word of the search begins a word of the name. */
export function matches(name: string, search: string): boolean {
  const words = wordsOf(name);
  const wanted = wordsOf(search);
  return wanted.length > 0 && wanted.every((x) => words.some((w) => w.startsWith(x)));
}

/** How good a name answers a search: 3 where it is it, 2 where it begins with it, 1 where a word in it does, 0 otherwise. */
export function closeness(name: string, search: string): number {
  const n = wordsOf(name).join(" ");
  const s = wordsOf(search).join(" ");
  if (s === "") return 0;
  if (n === s) return 3;
  return n.startsWith(s) ? 2 : matches(name, search) ? 1 : 0;
}
