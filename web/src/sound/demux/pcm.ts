import { be16, be32, is, le16, le32 } from "./bytes";
import { Stream } from "./stream";
import type { Demuxed, Packet } from "./types";

/** How many samples a packet holds: as many as FLAC's usual frames. */
const perPacket = 4096;

/** The largest chunk that is read whole: format and common chunks are tens of bytes. */
const largestChunk = 4096;

interface Format {
  codec: string;
  sampleRate: number;
  channels: number;
  /** Of one sample of one channel. */
  bytes: number;
  /** The most significant byte comes first. */
  big: boolean;
  /** 8-bit samples have a sign, which pcm-u8 has not. */
  signed8: boolean;
}

/** A codec's name for numbers of a width; undefined where there is none. */
function numbers(bits: number, float: boolean): { codec: string; bytes: number } | undefined {
  const bytes = Math.ceil(bits / 8);
  if (float) return bytes === 4 || bytes === 8 ? { codec: `pcm-f${bytes * 8}`, bytes } : undefined;
  const codec = [undefined, "pcm-u8", "pcm-s16", "pcm-s24", "pcm-s32"][bytes];
  return codec === undefined ? undefined : { codec, bytes };
}

/** The 80-bit numbers of AIFF's sample rates (IEEE 754 extended). */
function extended(b: Uint8Array, i: number): number {
  const exponent = (be16(b, i) & 0x7fff) - 16383;
  return (be32(b, i + 2) + be32(b, i + 6) / 2 ** 32) * 2 ** (exponent - 31);
}

/** WAVE_FORMAT_PCM, _IEEE_FLOAT, _ALAW, _MULAW, and _EXTENSIBLE, which says one of them further on (Microsoft, RIFF MCI, mmreg.h). */
function waveFormat(b: Uint8Array): Format | undefined {
  if (b.length < 16) return undefined;
  const tag = le16(b, 0) === 0xfffe && b.length >= 26 ? le16(b, 24) : le16(b, 0);
  const channels = le16(b, 2);
  const sampleRate = le32(b, 4);
  const width = tag === 6 ? { codec: "alaw", bytes: 1 } : tag === 7 ? { codec: "ulaw", bytes: 1 } : tag === 1 || tag === 3 ? numbers(le16(b, 14), tag === 3) : undefined;
  // What is not plain numbers here has packets of its own (ADPCM and the like): the server's to decode.
  if (width === undefined) return { codec: `wav-${tag.toString(16)}`, sampleRate, channels, bytes: 0, big: false, signed8: false };
  if (le16(b, 12) !== channels * width.bytes) return undefined;
  return { ...width, sampleRate, channels, big: false, signed8: false };
}

/** The common chunk of AIFF and AIFF-C (Apple, AIFF-C draft of 1991). */
function commonChunk(b: Uint8Array, compressed: boolean): Format | undefined {
  if (b.length < (compressed ? 22 : 18)) return undefined;
  const channels = be16(b, 0);
  const sampleRate = extended(b, 8);
  const type = compressed ? String.fromCharCode(...b.subarray(18, 22)) : "NONE";
  const float = /^(fl32|FL32|fl64|FL64)$/.test(type);
  if (/^(alaw|ALAW|ulaw|ULAW)$/.test(type)) return { codec: type.toLowerCase(), sampleRate, channels, bytes: 1, big: false, signed8: false };
  const bits = float ? Number(type.slice(2)) : be16(b, 6);
  const width = float || /^(NONE|twos|sowt|in24|in32)$/.test(type) ? numbers(bits, float) : undefined;
  if (width === undefined) return { codec: `aiff-${type.trim()}`, sampleRate, channels, bytes: 0, big: false, signed8: false };
  return { ...width, sampleRate, channels, big: type !== "sowt", signed8: width.bytes === 1 };
}

/** Sound without compression: WAV (also RF64, for files beyond 4 GiB: EBU Tech 3306), AIFF and AIFF-C. */
export class Pcm extends Stream {
  private kind: "wav" | "aiff" | undefined;
  private compressed = false;
  private format: Format | undefined;
  /** Where the samples begin and end. */
  private first = 0;
  private last = Infinity;
  private inData = false;
  /** RF64's own chunk says how long the data is. */
  private wide = Infinity;

  info(): Demuxed | undefined {
    const { format } = this;
    if (format === undefined || !this.inData) return undefined;
    const { codec, sampleRate, channels, bytes } = format;
    const samples = bytes > 0 ? Math.floor((this.last - this.first) / (bytes * channels)) : Infinity;
    return { codec, sampleRate, channels, ...(samples < Infinity ? { durationSamples: samples } : {}), trimStart: 0, trimEnd: 0 };
  }

  protected parse(out: Packet[], final: boolean): void {
    while (!this.finished && !this.inData) if (!this.chunk()) return;
    if (this.format !== undefined && !this.finished) this.samples(this.format, out, final);
  }

  /** Goes one chunk further; false where that needs more bytes. */
  private chunk(): boolean {
    const b = this.w.view();
    if (b.length < 16) return false;
    if (this.kind === undefined) {
      this.kind = is(b, 0, "FORM") ? "aiff" : "wav";
      this.compressed = is(b, 8, "AIFC");
      this.goTo(this.w.at + 12);
      return true;
    }
    const wav = this.kind === "wav";
    const size = wav ? le32(b, 4) : be32(b, 4);
    if (is(b, 0, wav ? "data" : "SSND")) {
      const before = wav ? 8 : 16 + be32(b, 8);
      const open = wav && (size === 0xffffffff || size === 0);
      this.first = this.w.at + before;
      this.last = open ? this.first + this.wide : this.w.at + 8 + size;
      this.inData = true;
      this.finished = this.format === undefined || this.format.bytes === 0;
      if (!this.finished) this.goTo(this.first);
      return true;
    }
    const wanted = is(b, 0, wav ? "fmt " : "COMM") || is(b, 0, "ds64");
    if (wanted && size <= largestChunk) {
      if (b.length < 8 + size) return false;
      const body = b.subarray(8, 8 + size);
      if (is(b, 0, "ds64")) this.wide = le32(body, 8) + le32(body, 12) * 2 ** 32;
      else this.format = wav ? waveFormat(body) : commonChunk(body, this.compressed);
      if (this.format !== undefined && !(this.format.channels > 0 && this.format.channels <= 64 && this.format.sampleRate >= 1 && this.format.sampleRate < 2 ** 24)) this.format = undefined;
    }
    this.goTo(this.w.at + 8 + size + (size & 1));
    return true;
  }

  private samples(format: Format, out: Packet[], final: boolean): void {
    const { w } = this;
    const frame = format.bytes * format.channels;
    for (;;) {
      const there = Math.min(w.length, this.last - w.at);
      const n = Math.min(perPacket, Math.floor(there / frame));
      const rest = w.at + there >= this.last || final;
      if (n === 0 || (n < perPacket && !rest)) {
        this.finished ||= rest;
        return;
      }
      const data = w.buf.slice(w.head, w.head + n * frame);
      if (format.big) swap(data, format.bytes);
      if (format.signed8) for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) ^ 0x80;
      const sample = (w.at - this.first) / frame;
      out.push({ data, timestampUs: Math.round((sample * 1e6) / format.sampleRate), samples: n });
      w.drop(n * frame);
    }
  }

  seek(ms: number): { offset: number; reset: () => void } {
    const { format } = this;
    if (format === undefined || !this.inData || format.bytes === 0) return { offset: this.start, reset: () => this.startAgain() };
    const frame = format.bytes * format.channels;
    const most = Math.max(0, Math.ceil((this.last - this.first) / frame / perPacket) - 1);
    const sample = Math.min(Math.floor((Math.max(0, ms) * format.sampleRate) / 1000 / perPacket), most) * perPacket;
    const offset = this.first + sample * frame;
    return { offset, reset: () => this.restart(offset) };
  }

  private startAgain(): void {
    this.restart(this.start);
    this.kind = undefined;
    this.inData = false;
  }
}

/** Turns the bytes of every number around. */
function swap(data: Uint8Array, bytes: number): void {
  for (let i = 0; i + bytes <= data.length; i += bytes) {
    for (let a = i, z = i + bytes - 1; a < z; a++, z--) [data[a], data[z]] = [data[z] as number, data[a] as number];
  }
}
