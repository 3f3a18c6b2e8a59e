/**
 * The letter under which a name is found: its first, without accents, where it begins with an article in English without
 * that. What begins with no letter is under #; Kana, Han and Hangul are too many to have a heading each and are under あ,
 * 漢 and 한.
 */
export function letterOf(name: string): string {
  const first = name
    .replace(/^(the|a|an) (?=\S)/i, "")
    .normalize("NFD")
    .charAt(0)
    .toUpperCase();
  if (/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(first)) return "あ";
  if (/\p{Script=Han}/u.test(first)) return "漢";
  if (/\p{Script=Hangul}/u.test(first)) return "한";
  return /\p{L}/u.test(first) ? first : "#";
}
