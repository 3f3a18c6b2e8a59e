import type { Track } from "../api/wire";

/**
 * The first n of the candidates that are to be heard next: none that the queue has, and, while there are others, none of
 * an artist who is among the last two.
 */
export function choose(candidates: readonly Track[], queue: readonly Track[], n: number): Track[] {
  const known = new Set(queue.map((x) => x.id));
  const rest = candidates.filter((x) => !x.missing && !known.has(x.id));
  const chosen: Track[] = [];
  while (chosen.length < n && rest.length > 0) {
    const recent = new Set([...queue.slice(-2), ...chosen].slice(-2).flatMap((x) => x.artists.map((a) => a.id)));
    const fresh = rest.findIndex((x) => !x.artists.some((a) => recent.has(a.id)));
    chosen.push(...rest.splice(Math.max(0, fresh), 1));
  }
  return chosen;
}
