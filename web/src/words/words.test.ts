import { afterEach, expect, test } from "vitest";
import english from "./en";
import { language, setLanguage, t } from "./index";

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
});
