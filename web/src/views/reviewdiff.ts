/** A piece of a text, and whether the other text lacks it. */
export interface Piece {
  text: string;
  differs: boolean;
}

/** Words, runs of spaces, and each other character by itself. */
const tokens = (text: string): string[] => text.match(/[\p{L}\p{N}\p{M}]+|\s+|[^\p{L}\p{N}\p{M}\s]/gu) ?? [];

/** Joins neighbours that are alike, so that a changed phrase is one mark. */
function join(list: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const p of list) {
    const last = out.at(-1);
    if (last !== undefined && last.differs === p.differs) last.text += p.text;
    else out.push({ ...p });
  }
  return out;
}

/**
 * What two lists of values have in common and what not, word by word: the longest common subsequence of their words
 * (Wagner and Fischer, "The String-to-String Correction Problem", 1974). Titles and names are short, so the square of
 * their lengths is nothing; beyond a few hundred words all of it differs.
 */
export function compare(before: readonly string[], after: readonly string[]): { before: Piece[][]; after: Piece[][] } {
  const a = before.map(tokens);
  const b = after.map(tokens);
  const x = a.flat();
  const y = b.flat();
  const same = { x: new Set<number>(), y: new Set<number>() };
  if (x.length * y.length <= 160_000) {
    const width = y.length + 1;
    const lengths = new Uint16Array((x.length + 1) * width);
    const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
    for (let i = x.length - 1; i >= 0; i--) {
      for (let j = y.length - 1; j >= 0; j--) {
        lengths[i * width + j] = x[i] === y[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
      }
    }
    for (let i = 0, j = 0; i < x.length && j < y.length; ) {
      if (x[i] === y[j]) {
        same.x.add(i++);
        same.y.add(j++);
      } else if (at(i + 1, j) >= at(i, j + 1)) i++;
      else j++;
    }
  }
  const pieces = (values: readonly string[][], common: ReadonlySet<number>): Piece[][] => {
    let n = 0;
    return values.map((words) => join(words.map((text) => ({ text, differs: !common.has(n++) }))));
  };
  return { before: pieces(a, same.x), after: pieces(b, same.y) };
}
