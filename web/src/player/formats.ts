import type { Track } from "../api/wire";
import type { SoundSettings } from "./settings";

/** What the browser can do with a track's bytes. */
export interface Abilities {
  /** Plays a media type by itself; HTMLMediaElement.canPlayType behind a name. */
  canPlay: (mediaType: string) => boolean;
  /** Decodes a codec, by our catalogue's name of it, packet by packet. */
  canDecode: (codec: string) => boolean;
  /** What it cannot decode packet by packet is wanted as FLAC, which it can: only so do tracks join without a gap. */
  joinsAsFlac?: boolean;
}

/** In which shape a track is asked for. */
export interface Shape {
  /** "raw" is the original, bit for bit. */
  readonly format: "raw" | "flac" | "opus" | "mp3";
  /** kbit/s; 0 for no limit. */
  readonly maxRate: number;
  /** Why it is not the original. */
  readonly why: "" | "browser" | "http" | "quality" | "account";
}

export const sameShape = (a: Shape, b: Shape): boolean => a.format === b.format && a.maxRate === b.maxRate;

export const original: Shape = { format: "raw", maxRate: 0, why: "" };

/** The codecs parameter (RFC 6381) for what our catalogue calls a codec, where one is needed to decide. */
const codecsParameter: Record<string, string> = {
  aac: "mp4a.40.2",
  alac: "alac",
  opus: "opus",
  vorbis: "vorbis",
};

type Of = Pick<Track, "contentType" | "codec" | "lossless" | "bitRate">;

/** Whether the browser can play a track's original, in either way. */
export function playsOriginal(track: Of, able: Abilities): boolean {
  if (able.canDecode(track.codec)) return true;
  const codecs = codecsParameter[track.codec];
  const type = track.contentType.split(";")[0]?.trim() ?? "";
  return type !== "" && able.canPlay(codecs !== undefined ? `${type}; codecs="${codecs}"` : type);
}

/** A shape that is heard as well as possible within so many kbit/s: Opus needs fewer of them for the same quality. */
const lossy = (maxRate: number, why: Shape["why"], able: Abilities): Shape => ({
  format: able.canDecode("opus") || able.canPlay('audio/ogg; codecs="opus"') ? "opus" : "mp3",
  maxRate,
  why,
});

/**
 * How to ask for a track: the original wherever the browser can play it and the settings and the account's limit (kbit/s,
 * 0 for none) allow. What is lossless stays so if it can.
 */
export function shapeFor(track: Of, quality: SoundSettings["quality"], limit: number, able: Abilities): Shape {
  const wanted = quality === "original" ? 0 : quality;
  const strictest = limit > 0 && (wanted === 0 || limit < wanted) ? limit : wanted;
  const plays = playsOriginal(track, able);
  if (strictest > 0 && (track.bitRate === undefined || track.bitRate > strictest)) {
    return lossy(strictest, strictest === wanted ? "quality" : "account", able);
  }
  if (plays && strictest === 0 && able.joinsAsFlac === true && !able.canDecode(track.codec)) return { format: "flac", maxRate: 0, why: "http" };
  if (plays) return original;
  return without(track, strictest, "browser", able);
}

/** The shape for a browser that cannot play the original, or said so and could not. */
export function without(track: Of, maxRate: number, why: Shape["why"], able: Abilities): Shape {
  if (track.lossless && maxRate === 0 && (able.canDecode("flac") || able.canPlay("audio/flac"))) return { format: "flac", maxRate: 0, why };
  return lossy(maxRate, why, able);
}
