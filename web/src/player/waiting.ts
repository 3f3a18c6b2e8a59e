import type { Play } from "../api/wire";

/** Reads what waits; what is not of this page's making is left out. */
export function parsePlays(text: string | null): Play[] {
  let list: unknown;
  try {
    list = JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return list.filter((p: unknown): p is Play => typeof p === "object" && p !== null && "track" in p && typeof p.track === "string" && "at" in p && typeof p.at === "string");
}
