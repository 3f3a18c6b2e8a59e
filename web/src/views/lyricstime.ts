import type { Lyrics, LyricsLine } from "../api/wire";

/** When the lines of lyrics are sung, and the parts of a line. Times are in milliseconds of the track. */

/** A part of a line that is sung from a time on; undefined where only the line's time is known. */
export interface Part {
  readonly text: string;
  readonly startMs: number | undefined;
}

/** When a line is due: a positive offset shows it earlier. */
export const dueMs = (lyrics: Pick<Lyrics, "offsetMs">, line: LyricsLine): number => (line.startMs ?? 0) - (lyrics.offsetMs ?? 0);

/** The line that is being sung; -1 before the first. */
export function lineAt(lyrics: Pick<Lyrics, "offsetMs" | "lines">, ms: number): number {
  let low = 0;
  let high = lyrics.lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const line = lyrics.lines[middle];
    if (line !== undefined && dueMs(lyrics, line) <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A line cut at its cues. Cues count bytes of UTF-8, as the lyrics' wire format has them; what lies between two is kept. */
export function partsOf(lyrics: Pick<Lyrics, "offsetMs">, line: LyricsLine): readonly Part[] {
  if (line.cues === undefined || line.cues.length === 0) return [{ text: line.text, startMs: undefined }];
  const bytes = new TextEncoder().encode(line.text);
  const decoder = new TextDecoder();
  const parts: Part[] = [];
  let at = 0;
  let before: number | undefined;
  const cut = (to: number, startMs: number | undefined) => {
    const text = decoder.decode(bytes.subarray(at, to));
    if (text !== "") parts.push({ text, startMs });
    at = Math.max(at, to);
  };
  for (const cue of line.cues.toSorted((a, b) => a.from - b.from)) {
    if (cue.from > at) cut(cue.from, before); // a space goes with the word before it
    before = cue.startMs - (lyrics.offsetMs ?? 0);
    cut(cue.to, before);
  }
  if (at < bytes.length) cut(bytes.length, before);
  return parts;
}

/** When next something changes after a time: the next line or the next part of the current one. undefined: never again. */
export function nextChange(lyrics: Lyrics, ms: number): number | undefined {
  const at = lineAt(lyrics, ms);
  const times: number[] = [];
  const following = lyrics.lines[at + 1];
  if (following !== undefined) times.push(dueMs(lyrics, following));
  for (const cue of lyrics.lines[at]?.cues ?? []) times.push(cue.startMs - (lyrics.offsetMs ?? 0));
  return times.filter((time) => time > ms).toSorted((a, b) => a - b)[0];
}
