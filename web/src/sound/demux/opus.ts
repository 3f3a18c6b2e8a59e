import { is, le16 } from "./bytes";

/** What an Opus stream's times count in, whatever was encoded (RFC 7845, 4). */
export const opusRate = 48000;

/**
 * What a decoder is given before a place so that it is exact there: 320 ms. RFC 7845, 4.6 asks for 80 at least; measured
 * against decoding in order, 80 leave differences of 4 % of full scale, 320 less than a 16-bit step in music.
 */
export const opusWarmUp = 15360;

/** How many samples a packet decodes to (RFC 6716, 3.1 and 3.2); 0 where it is none. */
export function opusSamples(b: Uint8Array): number {
  const toc = b[0];
  if (toc === undefined) return 0;
  const config = toc >> 3;
  let frame: number;
  if (config < 12) frame = [480, 960, 1920, 2880][config & 3] as number;
  else if (config < 16) frame = config & 1 ? 960 : 480;
  else frame = 120 << (config & 3);
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (b[1] ?? 0) & 63;
  return frame * frames > 5760 ? 0 : frame * frames;
}

export interface OpusHead {
  channels: number;
  preSkip: number;
  /**
   * The header for the decoder, with no pre-skip in it: decoders leave it out themselves, but not all do and not all
   * agree on the times of what follows, so it is left to the one who plays.
   */
  description: Uint8Array;
}

/** The identification header (RFC 7845, 5.1). */
export function opusHead(b: Uint8Array): OpusHead | undefined {
  if (!is(b, 0, "OpusHead") || b.length < 19 || (b[8] as number) > 15 || b[9] === 0) return undefined;
  const description = b.slice();
  description.fill(0, 10, 12);
  return { channels: b[9] as number, preSkip: le16(b, 10), description };
}
