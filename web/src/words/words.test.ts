import { afterEach, describe, expect, test } from "vitest";
import first from "./en";
import { language, languages, type LanguageTag, type Message, preferred, setLanguage, t } from "./index";

const before = language();
afterEach(() => setLanguage(before));

test("fills in and chooses the plural", () => {
  expect(t("library.albums", { count: 1 })).toBe("1 album");
  expect(t("library.albums", { count: 12_345 })).toBe("12,345 albums");
  expect(t("sound.nowPlaying", { title: "{artist}", artist: "Bell" })).toBe("Now playing: {artist} by Bell");
});

test("another language's plural categories and digits, and English where it has no message", () => {
  setLanguage({ tag: "pl", messages: { "library.albums": { one: "{count} album", few: "{count} albumy", other: "{count} albumów" } } });
  expect(t("library.albums", { count: 3 })).toBe("3 albumy");
  expect(t("library.albums", { count: 5 })).toBe("5 albumów");
  expect(t("lists.tracks", { count: 2 })).toBe("2 tracks");
});

/** All that is said in English: what the first view has, and what comes with others. */
const english = Object.fromEntries(Object.values(import.meta.glob<Record<string, Message>>("./en/*.json", { import: "default", eager: true })).flatMap((table) => Object.entries(table)));

test("every key begins with the name of its file, and no two files have the same", async () => {
  const files = import.meta.glob<Record<string, unknown>>("./en/*.json", { import: "default" });
  let keys = 0;
  for (const [path, load] of Object.entries(files)) {
    const name = path.slice("./en/".length, -".json".length);
    for (const key of Object.keys(await load())) {
      expect(key.startsWith(`${name}.`), key).toBe(true);
      keys++;
    }
  }
  expect(keys).toBe(Object.keys(english).length);
  expect(Object.keys(first).filter((key) => !(key in english))).toEqual([]);
});

/** The names that a text wants filled in. */
const wanted = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? ""))].sort();

describe.each(Object.keys(languages).filter((name) => name !== "en") as LanguageTag[])("the table of %s", (name) => {
  test("has every message, with the same to fill in", async () => {
    const table = (await languages[name].messages()) as Partial<Record<string, Message>>;
    const wrong: string[] = [];
    for (const [key, said] of Object.entries(english)) {
      const told = table[key];
      if (told === undefined) wrong.push(`${key} is missing: ${JSON.stringify(said)}`);
      else if (typeof told !== typeof said) wrong.push(`${key} has plural forms in one language only`);
      else if (typeof told === "string" && typeof said === "string") {
        if (wanted(told).join() !== wanted(said).join()) wrong.push(`${key} fills in ${wanted(told).join()} instead of ${wanted(said).join()}`);
      } else if (typeof told !== "string" && typeof said !== "string") {
        if (wanted(told.other).join() !== wanted(said.other).join()) wrong.push(`${key} fills in ${wanted(told.other).join()} instead of ${wanted(said.other).join()}`);
        // A form for one or two may do without the number, but has nothing of its own.
        for (const form of Object.values(told)) if (wanted(form).some((w) => !wanted(told.other).includes(w))) wrong.push(`${key} has a form that fills in more than the others: ${form}`);
        const categories = new Intl.PluralRules(name).resolvedOptions().pluralCategories;
        for (const category of Object.keys(told)) if (!categories.some((c) => c === category)) wrong.push(`${key} has a form ${category} that the language does not know`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test("the reader's languages are taken in their order, by their first part", () => {
  expect(preferred(["de-AT", "en"])).toBe("de");
  expect(preferred(["fi", "AR-eg", "de"])).toBe("ar");
  expect(preferred(["fi", "constructor"])).toBe("en");
  expect(preferred([])).toBe("en");
});
