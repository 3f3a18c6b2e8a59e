import { expect, test } from "vitest";
import { compare, type Piece } from "./reviewdiff";

const marked = (values: readonly Piece[][]): string[] => values.map((v) => v.map((p) => (p.differs ? `[${p.text}]` : p.text)).join(""));

test.each([
  { before: ["Jay-Z feat. Alicia Keys"], after: ["Jay-Z", "Alicia Keys"], was: ["Jay-Z[ feat. ]Alicia Keys"], is: ["Jay-Z", "Alicia Keys"] },
  { before: ["Beyonce"], after: ["Beyoncé"], was: ["[Beyonce]"], is: ["[Beyoncé]"] },
  { before: ["Larks"], after: ["The Larks"], was: ["Larks"], is: ["[The ]Larks"] },
  { before: ["Hey Jude - 2015 Remaster"], after: ["Hey Jude"], was: ["Hey Jude[ - 2015 Remaster]"], is: ["Hey Jude"] },
  { before: [], after: ["Rock"], was: [], is: ["[Rock]"] },
  { before: ["東京 (Live)"], after: ["東京"], was: ["東京[ (Live)]"], is: ["東京"] },
])("$before beside $after", ({ before, after, was, is }) => {
  const c = compare(before, after);
  expect(marked(c.before)).toEqual(was);
  expect(marked(c.after)).toEqual(is);
});

test("texts too long to compare differ as a whole", () => {
  const long = (w: string) => [Array.from({ length: 500 }, () => w).join(" ")];
  expect(compare(long("a"), long("a")).after[0]).toHaveLength(1);
});
