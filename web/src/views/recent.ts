import { createSignal } from "solid-js";
import { session } from "../api/state";

/** How many searches are remembered. */
const kept = 10;

const keyOf = (): string => `tutti.searches.${session()?.user.id ?? ""}`;

function stored(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(keyOf()) ?? "[]");
    return Array.isArray(list) ? list.filter((x): x is string => typeof x === "string").slice(0, kept) : [];
  } catch {
    return []; // what cannot be read was not written by this page
  }
}

/** What this person searched for in this browser and found something by, latest first. */
export function createRecent() {
  const [list, setList] = createSignal<readonly string[]>(stored());
  const store = (next: readonly string[]) => {
    setList(next);
    localStorage.setItem(keyOf(), JSON.stringify(next));
  };
  return {
    list,
    add: (text: string) => store(remembering(list(), text)),
    remove: (text: string) => store(list().filter((x) => x !== text)),
    clear: () => store([]),
  };
}

/** The list with one more search; typing a search on to a longer one leaves only the longer. */
export function remembering(list: readonly string[], text: string): string[] {
  const now = text.trim();
  if (now === "") return [...list];
  const folded = now.toLowerCase();
  const rest = list.filter((x) => x.toLowerCase() !== folded && !(x.length > 1 && folded.startsWith(x.toLowerCase()) && x === list[0]));
  return [now, ...rest].slice(0, kept);
}
