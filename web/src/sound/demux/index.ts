import { Adts, adtsHeader } from "./adts";
import { id3Length, is } from "./bytes";
import { Flac } from "./flac";
import { Mp3, mpegHeader } from "./mp3";
import { Mp4 } from "./mp4";
import { Ogg } from "./ogg";
import { Pcm } from "./pcm";
import { Stream } from "./stream";
import type { Demuxed, Demuxer, Packet } from "./types";

export type { Demuxed, Demuxer, Packet } from "./types";

/** How far the beginning of MPEG audio or ADTS is looked for before the media type is believed. */
const lookAhead = 8192;

/** What it is by its first bytes, which stand at `start` in the file; by its media type where they may be anything. */
function sniff(contentType: string, b: Uint8Array, start: number): Stream | undefined {
  if (is(b, 0, "fLaC")) return new Flac(start);
  if (is(b, 0, "OggS")) return new Ogg(start);
  if (is(b, 8, "WAVE") && ["RIFF", "RF64", "BW64"].some((type) => is(b, 0, type))) return new Pcm(start);
  if (is(b, 0, "FORM") && (is(b, 8, "AIFF") || is(b, 8, "AIFC"))) return new Pcm(start);
  if (["ftyp", "moov", "mdat", "wide", "free", "skip"].some((type) => is(b, 4, type))) return new Mp4(start);
  for (let i = 0; i + 7 <= Math.min(b.length, lookAhead); i++) {
    if (b[i] !== 0xff) continue;
    // Two frames in a row, or one where no more is there.
    for (const [header, Kind] of [[mpegHeader, Mp3] as const, [adtsHeader, Adts] as const]) {
      const one = header(b, i);
      if (one === undefined || one.length === 0) continue;
      const next = i + one.length;
      if (next + 7 > b.length || header(b, next)?.kind === one.kind) return new Kind(start);
    }
  }
  if (/^audio\/(mpeg|mp3|x-mp3)\b/.test(contentType)) return new Mp3(start);
  if (/^audio\/(aac|aacp|x-aac)\b/.test(contentType)) return new Adts(start);
  return undefined;
}

/** What stands behind ID3v2 tags, which may be larger than what is there to look at. */
class Tagged extends Stream {
  private inner: Stream | undefined;

  constructor(private readonly contentType: string) {
    super();
  }

  protected parse(out: Packet[], final: boolean): void {
    for (;;) {
      const b = this.w.view();
      if (b.length < 10 && !final) return;
      const tag = id3Length(b, 0);
      if (tag > 0) {
        this.goTo(this.w.at + tag);
        continue;
      }
      if (b.length < lookAhead && !final) return;
      this.finished = true;
      this.inner = sniff(this.contentType, b, this.w.at);
      if (this.inner !== undefined) out.push(...this.inner.push(b));
      return;
    }
  }

  override push(bytes: Uint8Array, at = this.expected): Packet[] {
    const out = super.push(bytes, at);
    // What it has seen of these already it passes over.
    return this.inner === undefined ? out : [...out, ...this.inner.push(bytes, at)];
  }

  override end(): Packet[] {
    const out = super.end();
    return this.inner === undefined ? out : [...out, ...this.inner.end()];
  }

  override wants(): number | undefined {
    return this.inner === undefined ? super.wants() : this.inner.wants();
  }

  info(): Demuxed | undefined {
    return this.inner?.info();
  }

  seek(ms: number, sizeBytes: number): { offset: number; reset: () => void } {
    const { inner } = this;
    if (inner === undefined) return { offset: 0, reset: () => this.restart(0) };
    const { offset, reset } = inner.seek(ms, sizeBytes);
    return {
      offset,
      reset: () => {
        reset();
        this.expected = offset;
      },
    };
  }
}

/**
 * A demuxer for a file, by its first bytes (a few kilobytes, or all of it where it is smaller); its media type decides
 * only where they may be anything. They are looked at, not taken: push them too. Undefined where it is nothing known.
 */
export function openDemuxer(contentType: string, first: Uint8Array): Demuxer | undefined {
  return id3Length(first, 0) > 0 ? new Tagged(contentType) : sniff(contentType, first, 0);
}
