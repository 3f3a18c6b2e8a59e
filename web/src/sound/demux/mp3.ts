import { be16, be24, be32, is } from "./bytes";
import { type Frame, Framed } from "./framed";
import type { Demuxed } from "./types";

/** kbit/s by the header's index, for MPEG-1 layers I, II, III and MPEG-2 layers I, II and III (ISO 11172-3 2.4.2.3, ISO 13818-3 2.4.2.3). */
const bitrates = [
  [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;

export interface MpegHeader {
  layer: 1 | 2 | 3;
  /** MPEG-1, or the lower sample rates of MPEG-2 and 2.5. */
  mpeg1: boolean;
  sampleRate: number;
  channels: number;
  samples: number;
  /** In bytes; 0 in free format, where the header does not say. */
  length: number;
  padding: number;
  kind: number;
}

/** The header of an MPEG audio frame at i. */
export function mpegHeader(b: Uint8Array, i: number): MpegHeader | undefined {
  const [b1, b2, b3] = [b[i + 1] ?? 0, b[i + 2] ?? 0, b[i + 3] ?? 0];
  if (b[i] !== 0xff || (b1 & 0xe0) !== 0xe0) return undefined;
  const version = (b1 >> 3) & 3;
  const layerBits = (b1 >> 1) & 3;
  const rateIndex = b2 >> 4;
  const rate = (b2 >> 2) & 3;
  if (version === 1 || layerBits === 0 || rateIndex === 15 || rate === 3 || (b3 & 3) === 2) return undefined;
  const layer = (4 - layerBits) as 1 | 2 | 3;
  const mpeg1 = version === 3;
  const sampleRate = ([44100, 48000, 32000][rate] as number) / (mpeg1 ? 1 : version === 2 ? 2 : 4);
  const kbps = (bitrates[mpeg1 ? layer - 1 : layer === 1 ? 3 : 4] as readonly number[])[rateIndex] as number;
  const samples = layer === 1 ? 384 : layer === 3 && !mpeg1 ? 576 : 1152;
  const slot = layer === 1 ? 4 : 1;
  const padding = ((b2 >> 1) & 1) * slot;
  const length = kbps === 0 ? 0 : Math.floor((samples * kbps * 125) / (sampleRate * slot)) * slot + padding;
  return { layer, mpeg1, sampleRate, channels: b3 >> 6 === 3 ? 1 : 2, samples, length, padding, kind: ((b1 & 0xfe) << 8) | (b2 & 0x0c) };
}

/** The longest frame of free format that is looked for: 640 kbit/s, where decoders stop, at 32 kHz take 2,880 bytes. */
const longestFree = 2880;

/** The samples a decoder gives out before the first one that the encoder took in (LAME's tag specification; 528 by the filter banks, and one). */
const decoderDelay = 529;

/**
 * A frame's main data may begin up to 511 bytes before it (ISO 11172-3, main_data_begin), which at the lowest rates is
 * in the ninth frame before; and its transform overlaps the one before that.
 */
const warmUpFrames = 10;

/** MPEG audio, layers I to III, with what encoders write into the first frame: Xing, Info, LAME, VBRI. */
export class Mp3 extends Framed {
  protected readonly headerLength = 4;
  protected warmUp = 0;
  private head: MpegHeader | undefined;
  /** The length of frames without their padding in free format, once found. */
  private free = 0;

  protected header(b: Uint8Array, i: number, tail: number): Frame | undefined {
    const h = mpegHeader(b, i);
    if (h === undefined) return undefined;
    if (h.length > 0) return h;
    if (this.head !== undefined && this.head.length > 0) return undefined;
    if (this.free === 0) this.free = this.measure(b, i, tail, h);
    if (this.free > 0) return { ...h, length: this.free + h.padding };
    // A length that is not there yet makes the caller wait for what would settle it.
    return tail - i < 2 * longestFree ? { ...h, length: 2 * longestFree } : undefined;
  }

  /** How far it is from one frame of free format to the next, padding taken off; 0 where there is no second and third. */
  private measure(b: Uint8Array, i: number, tail: number, h: MpegHeader): number {
    const like = (k: number): MpegHeader | undefined => {
      const other = k + 4 <= tail ? mpegHeader(b, k) : undefined;
      return other?.length === 0 && other.kind === h.kind ? other : undefined;
    };
    for (let k = i + 32; k + 4 <= Math.min(tail, i + longestFree); k++) {
      if (b[k] !== 0xff) continue;
      const second = like(k);
      if (second === undefined) continue;
      const length = k - i - h.padding;
      if (like(k + length + second.padding) !== undefined) return length;
    }
    return 0;
  }

  protected begin(frame: Uint8Array, header: Frame): boolean {
    const head = mpegHeader(frame, 0);
    if (head === undefined) return false;
    this.head = head;
    this.sampleRate = head.sampleRate;
    this.warmUp = warmUpFrames * header.samples;
    if (head.layer !== 3) return false;
    // Behind the side information, and behind the CRC in front of it where a writer counted that in.
    const side = head.mpeg1 ? (head.channels === 1 ? 17 : 32) : head.channels === 1 ? 9 : 17;
    for (const at of [4 + side, 6 + side]) {
      if (is(frame, at, "Xing") || is(frame, at, "Info")) {
        this.xing(frame, at, head);
        return true;
      }
    }
    if (is(frame, 36, "VBRI")) {
      this.vbri(frame, head);
      return true;
    }
    return false;
  }

  /** The tag of Xing's encoder, and what LAME and those after it put behind it (Info tag revision 1). */
  private xing(b: Uint8Array, at: number, head: MpegHeader): void {
    const flags = be32(b, at + 4);
    let i = at + 8;
    let [frames, bytes, toc] = [0, 0, 0];
    if (flags & 1) [frames, i] = [be32(b, i), i + 4];
    if (flags & 2) [bytes, i] = [be32(b, i), i + 4];
    if (flags & 4) [toc, i] = [i, i + 100];
    if (flags & 8) i += 4;
    this.announced = frames * head.samples;
    if (["LAME", "Lavf", "Lavc", "L3.9", "GOGO"].some((name) => is(b, i, name)) && i + 24 <= b.length) {
      const gaps = be24(b, i + 21);
      this.trimStart = (gaps >> 12) + decoderDelay;
      this.trimEnd = Math.max(0, (gaps & 0xfff) - decoderDelay);
    }
    if (frames === 0 || bytes === 0) return;
    // "Info" says that the bit rate is constant: a straight line is exact, the table is rounded.
    if (toc === 0 || is(b, at, "Info")) {
      this.table = [
        { sample: 0, offset: this.w.at + b.length },
        { sample: this.announced, offset: this.w.at + bytes },
      ];
      return;
    }
    // Hundredths of the time against 256ths of the bytes, both from this frame on.
    const start = this.w.at;
    this.table = [{ sample: 0, offset: start + b.length }];
    for (let k = 1; k <= 100; k++) {
      const last = this.table[this.table.length - 1] as { sample: number; offset: number };
      const offset = k === 100 ? start + bytes : start + ((b[toc + k] ?? 0) / 256) * bytes;
      if (offset > last.offset) this.table.push({ sample: (this.announced * k) / 100, offset });
    }
  }

  /** The tag of Fraunhofer's encoders: a table of the bytes that every so many frames take. */
  private vbri(b: Uint8Array, head: MpegHeader): void {
    const frames = be32(b, 50);
    const [entries, scale, size, step] = [be16(b, 54), be16(b, 56), be16(b, 58), be16(b, 60)];
    this.announced = frames * head.samples;
    if (size < 1 || size > 4 || 62 + entries * size > b.length) return;
    let offset = this.w.at + b.length;
    this.table = [{ sample: 0, offset }];
    for (let k = 0; k < entries; k++) {
      let v = 0;
      for (let n = 0; n < size; n++) v = v * 256 + (b[62 + k * size + n] ?? 0);
      if (v === 0) continue;
      offset += v * scale;
      this.table.push({ sample: Math.min((k + 1) * step, frames) * head.samples, offset });
    }
  }

  info(): Demuxed | undefined {
    const { head } = this;
    if (head === undefined || !this.known) return undefined;
    const heard = this.announced - this.trimStart - this.trimEnd;
    return {
      codec: head.layer === 3 ? "mp3" : `mp${head.layer}`,
      sampleRate: head.sampleRate,
      channels: head.channels,
      ...(heard > 0 ? { durationSamples: heard } : {}),
      trimStart: this.trimStart,
      trimEnd: this.trimEnd,
    };
  }
}
