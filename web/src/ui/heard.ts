import type { AlbumReply, Sound, Track } from "../api/wire";
import { t, tag } from "../words";

const number = (v: number, digits: number): string => v.toLocaleString(tag(), { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A key such as F#m, as ID3 writes it, in the reader's words. */
export function keyName(key: string): string {
  const id3 = ["C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B"];
  const minor = key.endsWith("m");
  const note = t("library.sonic.notes").split(" ")[id3.indexOf(minor ? key.slice(0, -1) : key)];
  return note === undefined ? key : t(minor ? "library.sonic.minor" : "library.sonic.major", { note });
}

/** Silence has no loudness to speak of (ITU-R BS.1770). */
const silence = -70;

const lufs = (v: number): string => t("library.sonic.lufs", { value: number(v, 1) });

/** What was heard in a track, as names and values. */
export function heardFacts(s: Sound | undefined): [string, string][] {
  if (s === undefined || s.loudness <= silence) return [];
  const facts: [string, string][] = [
    [t("library.sonic.loudness"), lufs(s.loudness)],
    [t("library.sonic.range"), t("library.sonic.lu", { value: number(s.range, 1) })],
    [t("library.sonic.peak"), t("library.sonic.dbtp", { value: number(s.truePeak, 1) })],
  ];
  if (s.tempo !== undefined) facts.push([t("library.sonic.tempo"), t("library.sonic.bpm", { value: number(s.tempo, 0) })]);
  if (s.key !== undefined) facts.push([t("library.sonic.key"), keyName(s.key)]);
  return facts;
}

/** The loudness of an album all of whose tracks were listened to: the mean of their powers, by their lengths. */
export function albumLoudness(tracks: readonly Pick<Track, "sound" | "durationMs">[]): number | undefined {
  let power = 0;
  let length = 0;
  for (const x of tracks) {
    if (x.sound === undefined) return undefined;
    if (x.sound.loudness <= silence) continue;
    power += 10 ** (x.sound.loudness / 10) * x.durationMs;
    length += x.durationMs;
  }
  return length === 0 ? undefined : 10 * Math.log10(power / length);
}

/** What was heard in an album. */
export function albumHeardFacts(album: AlbumReply): [string, string][] {
  const tracks = album.tracks.filter((x) => !x.missing);
  const loudness = albumLoudness(tracks);
  const tempi = tracks.map((x) => x.sound?.tempo ?? 0).filter((v) => v > 0);
  const [slow, fast] = [Math.round(Math.min(...tempi)), Math.round(Math.max(...tempi))];
  const facts: [string, string][] = [];
  if (loudness !== undefined) facts.push([t("library.sonic.loudness"), lufs(loudness)]);
  if (tempi.length > 0) facts.push([t("library.sonic.tempo"), t("library.sonic.bpm", { value: slow === fast ? number(slow, 0) : `${number(slow, 0)}–${number(fast, 0)}` })]);
  return facts;
}
