import type { Track } from "../api/wire";

/** Whether a browser can play a media type; HTMLMediaElement.canPlayType behind a name. */
export type CanPlay = (mediaType: string) => boolean;

/** The codecs parameter (RFC 6381) for what our catalogue calls a codec, where one is needed to decide. */
const codecsParameter: Record<string, string> = {
  aac: "mp4a.40.2",
  alac: "alac",
  opus: "opus",
  vorbis: "vorbis",
};

/**
 * In which format to ask for a track: "raw" is the original, bit for bit, wherever the browser can play it. Else what is
 * lossless stays so if it can, and everything else becomes MP3, which every browser plays.
 */
export function formatFor(track: Pick<Track, "contentType" | "codec" | "lossless">, canPlay: CanPlay): "raw" | "flac" | "mp3" {
  const codecs = codecsParameter[track.codec];
  const type = track.contentType.split(";")[0]?.trim() ?? "";
  if (type !== "" && canPlay(codecs !== undefined ? `${type}; codecs="${codecs}"` : type)) return "raw";
  return track.lossless && canPlay("audio/flac") ? "flac" : "mp3";
}
