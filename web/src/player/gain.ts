import type { Gain, Track } from "../api/wire";
import type { Entry } from "./queue";
import type { SoundSettings } from "./settings";

/** What loudness normalisation does to a track; 0 dB is a factor of exactly 1, which leaves every bit as it is. */
export function gainDb(gain: Gain | undefined, mode: "off" | "track" | "album", s: Pick<SoundSettings, "preampDb" | "protectPeaks">): number {
  // A track without tags has no known loudness: it is left as it is, the preamplifier included.
  const wanted = mode === "off" ? undefined : mode === "album" ? (gain?.album ?? gain?.track) : (gain?.track ?? gain?.album);
  if (wanted === undefined || !Number.isFinite(wanted)) return 0;
  const byAlbum = mode === "album" ? gain?.album !== undefined : gain?.track === undefined;
  const db = wanted + s.preampDb;
  if (!s.protectPeaks) return db;
  // ReplayGain 2.0, "clipping prevention": not louder than what brings the peak to full scale. Where no peak is known it
  // may already be there.
  const peak = byAlbum ? (gain?.albumPeak ?? gain?.trackPeak) : (gain?.trackPeak ?? gain?.albumPeak);
  const room = peak === undefined || !(peak > 0) ? 0 : 20 * Math.log10(1 / peak);
  return Math.min(db, room);
}

export const linear = (db: number): number => (db === 0 ? 1 : 10 ** (db / 20));

/** Whether b comes right behind a on the same album, as whoever made it wanted it heard. */
export function continues(a: Track | undefined, b: Track | undefined): boolean {
  if (a?.albumId === undefined || b === undefined || a.albumId !== b.albumId || a.track === undefined || b.track === undefined) return false;
  const [discA, discB] = [a.disc ?? 1, b.disc ?? 1];
  return discA === discB ? b.track === a.track + 1 : discB === discA + 1 && b.track === 1;
}

/** Which loudness counts for an entry: with "auto", the album's beside a neighbour that it goes on from or into. */
export function gainMode(entries: readonly Entry<Track>[], at: number, mode: SoundSettings["gain"]): "off" | "track" | "album" {
  if (mode !== "auto") return mode;
  const [before, here, after] = [entries[at - 1]?.track, entries[at]?.track, entries[at + 1]?.track];
  return continues(before, here) || continues(here, after) ? "album" : "track";
}
