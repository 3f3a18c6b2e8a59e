import type { Engine, Listener } from "../player/engine";

/** The codecs that WebCodecs decodes for us. */
export const decodes = (codec: string): boolean => codec === "" && typeof AudioDecoder === "undefined";

/** Undefined where Web Audio cannot play; the elements do then. */
export function graphEngine(on?: Listener): Engine | undefined {
  return on === undefined ? undefined : undefined;
}
