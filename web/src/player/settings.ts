import { createStore } from "solid-js/store";

/** How the sound is made on this device. Another device has its own ears, loudspeakers and connection. */
export interface SoundSettings {
  /** Original: as it is, wherever the browser can play it. Else at most so many kbit/s. */
  quality: "original" | 320 | 192 | 128 | 96;
  /** Which loudness is evened out; auto: the album's while the queue plays an album in order, else the track's. */
  gain: "off" | "track" | "album" | "auto";
  /** dB on top of the loudness gain, -12 to 6. */
  preampDb: number;
  /** Never amplify a track beyond full scale. */
  protectPeaks: boolean;
  /** How long the end of a track overlaps the next, 0 to 12,000 ms; never within an album that plays in order. */
  crossfadeMs: number;
}

const key = "tutti.sound";
const qualities = ["original", 320, 192, 128, 96] as const;
const gains = ["off", "track", "album", "auto"] as const;
export const preampRange = { min: -12, max: 6 } as const;
export const maxCrossfadeMs = 12_000;

export const defaults: SoundSettings = { quality: "original", gain: "auto", preampDb: 0, protectPeaks: true, crossfadeMs: 0 };

/** Takes what was kept, maybe by another version of the page or by hand, as far as it makes sense. */
export function readSettings(text: string | null): SoundSettings {
  let kept: unknown;
  try {
    kept = JSON.parse(text ?? "{}");
  } catch {
    kept = undefined;
  }
  const from = (typeof kept === "object" && kept !== null ? kept : {}) as Partial<Record<keyof SoundSettings, unknown>>;
  const within = (v: unknown, min: number, max: number, otherwise: number) => (typeof v === "number" && Number.isFinite(v) ? Math.min(max, Math.max(min, v)) : otherwise);
  return {
    quality: qualities.find((q) => q === from.quality) ?? defaults.quality,
    gain: gains.find((g) => g === from.gain) ?? defaults.gain,
    preampDb: within(from.preampDb, preampRange.min, preampRange.max, defaults.preampDb),
    protectPeaks: typeof from.protectPeaks === "boolean" ? from.protectPeaks : defaults.protectPeaks,
    crossfadeMs: within(from.crossfadeMs, 0, maxCrossfadeMs, defaults.crossfadeMs),
  };
}

const [sound, set] = createStore<SoundSettings>(readSettings(typeof localStorage === "undefined" ? null : localStorage.getItem(key)));
export { sound };

export function setSound(part: Partial<SoundSettings>): void {
  set(readSettings(JSON.stringify({ ...sound, ...part })));
  localStorage.setItem(key, JSON.stringify(sound));
}
