import { createSignal } from "solid-js";
import english from "./en";

/**
 * What the page says, in the reader's language. Messages are looked up by key in one flat table a language; a message
 * with a number in it may have one form for each plural category of its language (CLDR's, as Intl.PluralRules names
 * them). English is part of the page and stands in for what another language lacks.
 */
export type Key = keyof typeof english;

/** A message: text with {name}s to fill in, or its plural forms, chosen by {count}. */
export type Message = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);
export type Table = Partial<Record<Key, Message>>;

interface Language {
  /** A BCP 47 tag, for Intl and for the document's lang. */
  readonly tag: string;
  readonly messages: Table;
}

const [language, setLanguage] = createSignal<Language>({ tag: "en", messages: english });
export { language, setLanguage };

/** The tag that Intl's formats take. */
export const tag = (): string => language().tag;

/** Says a message; {count} chooses the plural form and is written as the language writes numbers. */
export function t(key: Key, fill: Readonly<Record<string, string | number>> = {}): string {
  const { tag: locale, messages } = language();
  const message: Message = messages[key] ?? english[key];
  const text = typeof message === "string" ? message : (message[new Intl.PluralRules(locale).select(Number(fill.count ?? 0))] ?? message.other);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = fill[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(locale) : value;
  });
}
