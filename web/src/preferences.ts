import { createEffect } from "solid-js";
import { createStore } from "solid-js/store";
import { type LanguageTag, languages } from "./words";

/** How the page looks and behaves on this device, for whoever uses it; kept by the browser. */
export interface Preferences {
  theme: "system" | "dark" | "light";
  /** "more": stronger lines and text; "system" is what the reader has told their system. */
  contrast: "system" | "more";
  /** "": the browser's own. */
  language: LanguageTag | "";
  /**
   * Whether single letters are shortcuts. Who speaks to their computer or presses keys by accident can turn them off
   * (WCAG 2.2, 2.1.4).
   */
  letters: boolean;
  /** Whether similar music goes on where the queue ends. */
  endless: boolean;
}

const kept = "tutti.page";
const usual: Preferences = { theme: "system", contrast: "system", language: "", letters: true, endless: false };

const oneOf = <T extends string>(value: unknown, ...of: readonly T[]): T | undefined => of.find((o) => o === value);

/** What was kept, as far as it is something that can be chosen: another version of the page may have written it. */
export function parsePreferences(text: string | null): Preferences {
  let found: Partial<Record<keyof Preferences, unknown>> = {};
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value === "object" && value !== null) found = value;
  } catch {
    // Not ours to read; the usual ones will do.
  }
  return {
    theme: oneOf(found.theme, "system", "dark", "light") ?? usual.theme,
    contrast: oneOf(found.contrast, "system", "more") ?? usual.contrast,
    language: oneOf(found.language, ...(Object.keys(languages) as LanguageTag[])) ?? usual.language,
    letters: typeof found.letters === "boolean" ? found.letters : usual.letters,
    endless: typeof found.endless === "boolean" ? found.endless : usual.endless,
  };
}

const [preferences, set] = createStore<Preferences>(parsePreferences(localStorage.getItem(kept)));
export { preferences };

export function prefer(changed: Partial<Preferences>): void {
  set(changed);
  localStorage.setItem(kept, JSON.stringify(preferences));
}

/** Has the document follow the preferences, for as long as the page is there. */
export function wearPreferences(): void {
  const root = document.documentElement;
  // The browser colours its own frame; index.html names a colour for each of the system's schemes.
  const metas = [...document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')].map((meta) => ({ meta, media: meta.media }));
  createEffect(() => {
    const { theme } = preferences;
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const { meta, media } of metas) meta.media = theme === "system" ? media : media.includes(theme) ? "all" : "not all";
  });
  createEffect(() => {
    if (preferences.contrast === "more") root.dataset.contrast = "more";
    else delete root.dataset.contrast;
  });
}
