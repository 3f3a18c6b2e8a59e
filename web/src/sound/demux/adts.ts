import { type Frame, Framed } from "./framed";
import type { Demuxed } from "./types";

/** Sampling frequencies by index (ISO 14496-3, 1.6.3.4). */
export const aacRates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350] as const;

/** Channels by the channel configuration (ISO 14496-3, 1.6.3.5); 0 is said elsewhere. */
export const aacChannels = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8] as const;

export interface AdtsHeader extends Frame {
  /** MPEG-4 audio object type. */
  object: number;
  rateIndex: number;
  channels: number;
}

/** The header of an ADTS frame at i (ISO 14496-3, 1.A.2.2). */
export function adtsHeader(b: Uint8Array, i: number): AdtsHeader | undefined {
  const [b1, b2, b3, b4, b5, b6] = [b[i + 1] ?? 0, b[i + 2] ?? 0, b[i + 3] ?? 0, b[i + 4] ?? 0, b[i + 5] ?? 0, b[i + 6] ?? 0];
  if (b[i] !== 0xff || (b1 & 0xf6) !== 0xf0) return undefined;
  const rateIndex = (b2 >> 2) & 15;
  const length = ((b3 & 3) << 11) | (b4 << 3) | (b5 >> 5);
  if (rateIndex >= aacRates.length || length < (b1 & 1 ? 7 : 9)) return undefined;
  return {
    object: (b2 >> 6) + 1,
    rateIndex,
    channels: aacChannels[((b2 & 1) << 2) | (b3 >> 6)] as number,
    length,
    samples: 1024 * ((b6 & 3) + 1),
    kind: ((b1 & 8) << 16) | ((b2 & 0xfd) << 8) | (b3 & 0xc0),
  };
}

/** AAC as a stream of frames with headers, which is how AudioDecoder takes it where it is given no description. */
export class Adts extends Framed {
  protected readonly headerLength = 7;
  /** One frame for the overlap of the transform, one for what spectral band replication keeps. */
  protected readonly warmUp = 2048;
  private head: AdtsHeader | undefined;

  protected header(b: Uint8Array, i: number): Frame | undefined {
    return adtsHeader(b, i);
  }

  protected begin(frame: Uint8Array): boolean {
    this.head = adtsHeader(frame, 0);
    this.sampleRate = aacRates[this.head?.rateIndex ?? 4] as number;
    return false;
  }

  info(): Demuxed | undefined {
    const { head } = this;
    if (head === undefined) return undefined;
    return { codec: `mp4a.40.${head.object}`, sampleRate: this.sampleRate, channels: head.channels, trimStart: 0, trimEnd: 0 };
  }
}
