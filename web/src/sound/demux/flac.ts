import { be16, be24, be32, be64, is } from "./bytes";
import { Index, type Point, Search, Stream } from "./stream";
import type { Demuxed, Packet } from "./types";

/** STREAMINFO (RFC 9639, 8.2). */
export interface StreamInfo {
  minBlock: number;
  maxBlock: number;
  sampleRate: number;
  channels: number;
  bits: number;
  /** 0 where the encoder did not know. */
  total: number;
  /** The block itself: 34 bytes. */
  block: Uint8Array;
}

/** The STREAMINFO block whose 34 bytes begin at i. Undefined where it describes nothing that could be played. */
export function streamInfo(b: Uint8Array, i: number): StreamInfo | undefined {
  if (i + 34 > b.length) return undefined;
  const packed = be32(b, i + 10);
  const info: StreamInfo = {
    minBlock: be16(b, i),
    maxBlock: be16(b, i + 2),
    sampleRate: packed >>> 12,
    channels: ((packed >>> 9) & 7) + 1,
    bits: ((packed >>> 4) & 31) + 1,
    total: (packed & 15) * 2 ** 32 + be32(b, i + 14),
    block: b.slice(i, i + 34),
  };
  return info.sampleRate === 0 || info.bits < 4 || info.maxBlock < 16 || info.minBlock > info.maxBlock ? undefined : info;
}

/** What AudioDecoder wants for FLAC: the signature and STREAMINFO as the last metadata block. */
export function description(info: StreamInfo): Uint8Array {
  const d = new Uint8Array(42);
  d.set([0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 34]);
  d.set(info.block, 8);
  return d;
}

export function demuxed(info: StreamInfo): Demuxed {
  return {
    codec: "flac",
    sampleRate: info.sampleRate,
    channels: info.channels,
    description: description(info),
    ...(info.total > 0 ? { durationSamples: info.total } : {}),
    trimStart: 0,
    trimEnd: 0,
  };
}

/** CRC-8, polynomial x^8 + x^2 + x + 1 (RFC 9639, 9.1.8). */
const crc8 = Uint8Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 0x80 ? (c << 1) ^ 0x07 : c << 1;
  return c & 0xff;
});

/** CRC-16, polynomial x^16 + x^15 + x^2 + 1 (RFC 9639, 9.3). */
const crc16 = Uint16Array.from({ length: 256 }, (_, n) => {
  let c = n << 8;
  for (let k = 0; k < 8; k++) c = c & 0x8000 ? (c << 1) ^ 0x8005 : c << 1;
  return c & 0xffff;
});

function crc16Of(b: Uint8Array, from: number, to: number, crc: number): number {
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xff00) ^ (crc16[(crc >> 8) ^ (b[i] as number)] as number);
  return crc;
}

/** The longest frame header: 4 bytes, a coded number of 7, a block size of 2, a sample rate of 2, the CRC. */
const longestHeader = 16;

export interface FrameHeader {
  /** Samples of every channel in this frame. */
  blockSize: number;
  /** The number of its first sample. */
  sample: number;
  /** Of the header, in bytes. */
  length: number;
}

/**
 * The frame header at i (RFC 9639, 9.1), where it is one and fits the stream. Undefined also where fewer bytes are
 * there than a header may take.
 */
export function frameHeader(b: Uint8Array, i: number, end: number, info: StreamInfo): FrameHeader | undefined {
  if (i + 6 > end || b[i] !== 0xff || ((b[i + 1] as number) & 0xfe) !== 0xf8) return undefined;
  const variable = ((b[i + 1] as number) & 1) === 1;
  const sizeCode = (b[i + 2] as number) >> 4;
  const rateCode = (b[i + 2] as number) & 15;
  const layout = (b[i + 3] as number) >> 4;
  const depthCode = ((b[i + 3] as number) >> 1) & 7;
  if (sizeCode === 0 || rateCode === 15 || layout > 10 || depthCode === 3 || ((b[i + 3] as number) & 1) === 1) return undefined;
  if ((layout < 8 ? layout + 1 : 2) !== info.channels) return undefined;
  const depth = [0, 8, 12, 0, 16, 20, 24, 32][depthCode] as number;
  if (depth !== 0 && depth !== info.bits) return undefined;

  let at = i + 4;
  const first = b[at++] as number;
  let more = 0;
  while (more < 7 && first & (0x80 >> more)) more++;
  if (more === 1 || more > (variable ? 7 : 6) || first === 0xff) return undefined;
  let number = more === 0 ? first : first & (0x7f >> more);
  for (let k = 1; k < more; k++) {
    const next = b[at++];
    if (next === undefined || at > end || (next & 0xc0) !== 0x80) return undefined;
    number = number * 64 + (next & 0x3f);
  }
  let blockSize: number;
  if (sizeCode === 1) blockSize = 192;
  else if (sizeCode <= 5) blockSize = 576 << (sizeCode - 2);
  else if (sizeCode === 6) blockSize = (b[at++] ?? 0) + 1;
  else if (sizeCode === 7) {
    blockSize = be16(b, at) + 1;
    at += 2;
  } else blockSize = 256 << (sizeCode - 8);
  if (rateCode === 12) at += 1;
  else if (rateCode > 12) at += 2;
  if (at >= end || blockSize > info.maxBlock) return undefined;
  let crc = 0;
  for (let k = i; k < at; k++) crc = crc8[crc ^ (b[k] as number)] as number;
  if (crc !== b[at]) return undefined;
  // Frames of a fixed size are numbered; only the last may be shorter than the size that STREAMINFO gives.
  return { blockSize, sample: variable ? number : number * info.maxBlock, length: at + 1 - i };
}

/** A frame as long as another, and silent: its header, a constant zero for every channel, which is all zeros, and the CRC. */
function silent(header: Uint8Array, info: StreamInfo): Uint8Array {
  // A side channel is one bit wider.
  const side = (header[3] as number) >> 4 >= 8 ? 1 : 0;
  const end = header.length + Math.ceil((info.channels * (8 + info.bits) + side) / 8);
  const frame = new Uint8Array(end + 2);
  frame.set(header);
  const crc = crc16Of(frame, 0, end, 0);
  frame.set([crc >> 8, crc & 0xff], end);
  return frame;
}

/** False starts of a frame that are looked at for its end before it is given up. */
const mostCandidates = 64;

/**
 * FLAC as a file of its own (RFC 9639). A frame does not say how long it is: it ends where the next begins, and its
 * CRC-16 says whether that was right. In place of a frame that is damaged comes a silent one.
 */
export class Flac extends Stream {
  private stage: "signature" | "blocks" | "frames" = "signature";
  private stream: StreamInfo | undefined;
  private table: Point[] = [];
  private firstFrame = 0;
  private readonly index = new Index(44100);
  private search: Search | undefined;

  // The frame that begins at the window's head, where one does.
  private frame: FrameHeader | undefined;
  /** Its beginning was the verified end of the one before, or of the headers. */
  private certain = true;
  /** How far it was searched for its end and how far its CRC has come, from the window's head. */
  private scanned = 0;
  private summed = 0;
  private crc = 0;
  private candidates = 0;

  info(): Demuxed | undefined {
    return this.stage === "frames" && this.stream !== undefined ? demuxed(this.stream) : undefined;
  }

  protected parse(out: Packet[], final: boolean): void {
    while (this.stage !== "frames") if (this.finished || !this.header()) return;
    if (this.stream !== undefined) this.frames(this.stream, out, final);
  }

  /** Takes one piece of what stands before the frames; false where it needs more bytes. */
  private header(): boolean {
    const b = this.w.view();
    if (b.length < 4) return false;
    if (this.stage === "signature") {
      if (!is(b, 0, "fLaC")) {
        this.finished = true;
        return false;
      }
      this.goTo(this.w.at + 4);
      this.stage = "blocks";
      return true;
    }
    const type = (b[0] as number) & 0x7f;
    const last = (b[0] as number) >= 0x80;
    const length = be24(b, 1);
    if (type === 0 || type === 3) {
      if (b.length < 4 + length) return false;
      if (type === 0) this.stream = streamInfo(b, 4);
      else this.readTable(b, length);
    }
    this.goTo(this.w.at + 4 + length);
    if (!last) return true;
    if (this.stream === undefined) {
      this.finished = true;
      return false;
    }
    this.firstFrame = this.w.at;
    this.table = this.table.map((p) => ({ sample: p.sample, offset: p.offset + this.firstFrame }));
    this.stage = "frames";
    return true;
  }

  /** SEEKTABLE (RFC 9639, 8.5); its placeholders and what is out of order are left out. */
  private readTable(b: Uint8Array, length: number): void {
    for (let i = 4; i + 18 <= 4 + length; i += 18) {
      const point = { sample: be64(b, i), offset: be64(b, i + 8) };
      const before = this.table[this.table.length - 1];
      if (point.sample >= Number.MAX_SAFE_INTEGER) break;
      if (before === undefined || (point.sample > before.sample && point.offset > before.offset)) this.table.push(point);
    }
  }

  /** More than this no frame takes: all subframes verbatim, one bit wider for a side channel, and what is around them. */
  private longest(info: StreamInfo, blockSize: number): number {
    return longestHeader + 2 + info.channels * (8 + Math.ceil((blockSize * (info.bits + 1)) / 8));
  }

  private frames(info: StreamInfo, out: Packet[], final: boolean): void {
    const w = this.w;
    for (;;) {
      if (this.frame === undefined && !this.begin(info, final)) return;
      const { frame } = this;
      if (frame === undefined) continue;
      const end = this.endOf(info, frame, final);
      if (end === "more") return;
      if (end === "none") {
        this.leave(1, false);
        continue;
      }
      const { buf, head } = w;
      const data = end.good ? buf.slice(head, head + end.length) : silent(buf.subarray(head, head + frame.length), info);
      if (!this.emit(info, frame, data, out)) continue;
      this.leave(end.length, true);
      if (w.length === 0) return;
    }
  }

  /** Forgets the frame and drops n bytes. `certain`: what follows is the beginning of a frame. */
  private leave(n: number, certain: boolean): void {
    this.w.drop(Math.min(n, this.w.length));
    this.frame = undefined;
    this.certain = certain;
    this.candidates = 0;
  }

  /** Looks for the beginning of a frame; false where there is none so far. */
  private begin(info: StreamInfo, final: boolean): boolean {
    const { buf, tail } = this.w;
    for (let i = this.w.head; ; i++) {
      i = buf.indexOf(0xff, i);
      if (i < 0 || i >= tail) i = tail;
      if (!final && tail - i < longestHeader) {
        // What may be the beginning of a header stays.
        this.certain &&= i === this.w.head;
        this.w.drop(i - this.w.head);
        return false;
      }
      if (i >= tail) {
        this.w.drop(this.w.length);
        return false;
      }
      const frame = frameHeader(buf, i, tail, info);
      if (frame === undefined) continue;
      this.certain &&= i === this.w.head;
      this.w.drop(i - this.w.head);
      this.frame = frame;
      this.scanned = 2;
      this.summed = 0;
      this.crc = 0;
      return true;
    }
  }

  /** How long the frame at the head is, and whether its CRC-16 holds. */
  private endOf(info: StreamInfo, frame: FrameHeader, final: boolean): { length: number; good: boolean } | "more" | "none" {
    const { buf, head, tail } = this.w;
    const limit = this.longest(info, frame.blockSize);
    const strategy = buf[head + 1];
    for (let i = head + this.scanned; ; i++) {
      i = buf.indexOf(0xff, i);
      if (i < 0 || i > tail) i = tail;
      if (i - head > limit || this.candidates > mostCandidates) return "none";
      if (tail - i < longestHeader && !final) {
        this.scanned = i - head;
        return "more";
      }
      if (i >= tail) break;
      if (buf[i + 1] !== strategy) continue;
      const next = frameHeader(buf, i, tail, info);
      if (next === undefined) continue;
      const good = this.sumTo(i - head) === 0;
      // A header that goes on where this frame would end is believed, even where something in between is damaged.
      if (good || (this.certain && next.sample === frame.sample + frame.blockSize)) return { length: i - head, good };
      this.candidates++;
    }
    // The last frame goes to the end of the file, or to what taggers put there.
    for (const cut of [0, this.tagAtEnd()]) {
      const length = tail - head - cut;
      if (length <= longestHeader || length > limit) continue;
      this.summed = 0;
      this.crc = 0;
      if (this.sumTo(length) === 0) return { length: tail - head, good: true };
    }
    return "none";
  }

  /** How long an ID3v1 tag and an APEv2 tag before it are at the end of the window. */
  private tagAtEnd(): number {
    const b = this.w.view();
    let cut = is(b, b.length - 128, "TAG") ? 128 : 0;
    const footer = b.length - cut - 32;
    // APEv2: the footer gives the size of the tag without its header, least significant byte first.
    if (is(b, footer, "APETAGEX")) {
      const size = (b[footer + 12] ?? 0) + (b[footer + 13] ?? 0) * 2 ** 8 + (b[footer + 14] ?? 0) * 2 ** 16 + (b[footer + 15] ?? 0) * 2 ** 24;
      cut += size;
      if (is(b, b.length - cut - 32, "APETAGEX")) cut += 32;
    }
    return cut;
  }

  /** The CRC-16 from the head over n bytes: 0 where they are a whole frame with its own CRC behind it. */
  private sumTo(n: number): number {
    const { buf, head } = this.w;
    this.crc = crc16Of(buf, head + this.summed, head + n, this.crc);
    this.summed = n;
    return this.crc;
  }

  /** False where a search goes on elsewhere. */
  private emit(info: StreamInfo, frame: FrameHeader, data: Uint8Array, out: Packet[]): boolean {
    const offset = this.w.at;
    if (this.search !== undefined) {
      if (!this.search.landed({ sample: frame.sample, offset })) {
        this.leave(0, true);
        this.goTo(this.search.offset);
        this.certain = this.search.offset === offset;
        return false;
      }
      if (frame.sample + frame.blockSize <= this.search.target) return true;
      this.search = undefined;
    }
    this.index.add(frame.sample, offset);
    out.push({
      data,
      timestampUs: Math.round((frame.sample * 1e6) / info.sampleRate),
      samples: frame.blockSize,
    });
    return true;
  }

  override end(): Packet[] {
    const out = super.end();
    // A search that landed too close to the end to see a frame goes back.
    if (this.search?.missed() === true) {
      this.leave(0, false);
      this.goTo(this.search.offset);
    }
    return out;
  }

  seek(ms: number, sizeBytes: number): { offset: number; reset: () => void } {
    const info = this.stream;
    if (this.stage !== "frames" || info === undefined) return { offset: this.start, reset: () => this.again(this.start) };
    let target = Math.max(0, Math.round((ms * info.sampleRate) / 1000));
    if (info.total > 0) target = Math.min(target, info.total - 1);
    let low: Point = { sample: 0, offset: this.firstFrame };
    let high: Point = { sample: info.total > 0 ? info.total : Infinity, offset: sizeBytes };
    const [seenLow, seenHigh] = this.index.around(target);
    for (const p of [...this.table, seenLow, seenHigh]) {
      if (p === undefined) continue;
      if (p.sample <= target && p.sample > low.sample) low = p;
      if (p.sample > target && p.sample < high.sample) high = p;
    }
    const search = new Search(target, low, high, info.sampleRate);
    return {
      offset: search.offset,
      reset: () => {
        this.again(search.offset);
        this.certain = search.offset === low.offset;
        this.search = search;
      },
    };
  }

  private again(offset: number): void {
    this.restart(offset);
    this.frame = undefined;
    this.candidates = 0;
    this.search = undefined;
    if (offset === this.start) this.stage = "signature";
  }
}
