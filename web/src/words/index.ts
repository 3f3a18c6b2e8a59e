import { createSignal } from "solid-js";
import english from "./en";
import type carbon from "./en/carbon.json";
import type review from "./en/review.json";

/**
 * What the page says, in the reader's language. Messages are looked up by key in one flat table a language; a message
 * with a number in it may have one form for each plural category of its language (CLDR's, as Intl.PluralRules names
 * them). English is part of the page and stands in for what another language lacks.
 */
export type Key = keyof typeof english | keyof typeof carbon | keyof typeof review;

/** A message: text with {name}s to fill in, or its plural forms, chosen by {count}. */
export type Message = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);
export type Table = Partial<Record<Key, Message>>;

/** English, as far as it is here: what only a view says that is fetched later comes with it, by teach. */
const here: Table = { ...english };

/** Adds what a view says in English. Other languages' tables are whole. */
export function teach(messages: Table): void {
  Object.assign(here, messages);
}

interface Language {
  /** A BCP 47 tag, for Intl and for the document's lang. */
  readonly tag: string;
  readonly messages: Table;
}

const [language, setLanguage] = createSignal<Language>({ tag: "en", messages: english });
export { language, setLanguage };

/** The tag that Intl's formats take. */
export const tag = (): string => language().tag;

interface Offered {
  /** Its name in itself, so that who cannot read the rest finds it. */
  readonly name: string;
  readonly dir: "ltr" | "rtl";
  /** Its table; English has none to fetch. */
  readonly messages: () => Promise<Table>;
}

/** The languages there are tables for, by tag. Each is a chunk of its own. */
export const languages = {
  en: { name: "English", dir: "ltr", messages: () => Promise.resolve(english) },
  de: { name: "Deutsch", dir: "ltr", messages: async () => (await import("./de")).default },
  ar: { name: "العربية", dir: "rtl", messages: async () => (await import("./ar")).default },
} as const satisfies Record<string, Offered>;

export type LanguageTag = keyof typeof languages;

const isOffered = (name: string): name is LanguageTag => Object.hasOwn(languages, name);

/** The first of the reader's languages that there is a table for, by its primary subtag (RFC 5646 §2.2.1): de-AT reads German. */
export function preferred(wanted: readonly string[]): LanguageTag {
  for (const w of wanted) {
    const primary = w.toLowerCase().split("-")[0] ?? "";
    if (isOffered(primary)) return primary;
  }
  return "en";
}

let asked = 0;

/** Speaks a language from now on: "" is the browser's own. It rejects, and the page stays as it is, where the table cannot be had. */
export async function speak(choice: LanguageTag | ""): Promise<void> {
  const mine = ++asked;
  const chosen = choice === "" ? preferred(navigator.languages) : choice;
  const messages = await languages[chosen].messages();
  if (mine !== asked) return; // another was chosen meanwhile
  // The browser's own variant, such as en-GB, writes dates and numbers as its reader does.
  const variant = navigator.languages.find((l) => l.toLowerCase().split("-")[0] === chosen) ?? chosen;
  setLanguage({ tag: variant, messages });
  document.documentElement.lang = variant;
  document.documentElement.dir = languages[chosen].dir;
}

/** Says a message; {count} chooses the plural form and is written as the language writes numbers. */
export function t(key: Key, fill: Readonly<Record<string, string | number>> = {}): string {
  const { tag: locale, messages } = language();
  const message: Message = messages[key] ?? here[key] ?? key;
  const text = typeof message === "string" ? message : (message[new Intl.PluralRules(locale).select(Number(fill.count ?? 0))] ?? message.other);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = fill[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(locale) : value;
  });
}
