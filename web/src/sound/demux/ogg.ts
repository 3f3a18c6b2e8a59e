import { be16, is, le32, le64 } from "./bytes";
import { demuxed, frameHeader, type StreamInfo, streamInfo } from "./flac";
import { opusHead, type OpusHead, opusRate, opusSamples, opusWarmUp } from "./opus";
import { Index, type Point, Search, Stream } from "./stream";
import type { Demuxed, Packet } from "./types";
import { vorbisBlock, vorbisDescription, vorbisHead, type VorbisHead, vorbisModes } from "./vorbis";

/** A packet that is larger is not kept: no audio packet is, only comments with pictures in them. */
const largestPacket = 1 << 20;

/** CRC-32 with the polynomial 0x04c11db7, nothing reflected (RFC 3533, 6). */
const crc32 = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n << 24;
  for (let k = 0; k < 8; k++) c = c & 0x80000000 ? (c << 1) ^ 0x04c11db7 : c << 1;
  return c;
});

/** Whether the page's checksum, which counts as zeros itself, is right. */
function intact(b: Uint8Array, from: number, to: number): boolean {
  let crc = 0;
  for (let i = from; i < to; i++) {
    const v = i >= from + 22 && i < from + 26 ? 0 : (b[i] as number);
    crc = (crc << 8) ^ (crc32[(crc >>> 24) ^ v] as number);
  }
  return crc >>> 0 === le32(b, from + 22);
}

/** What the packets of one logical stream are. */
interface Codec {
  readonly rate: number;
  /** What is not to be heard at the beginning, in samples. */
  readonly preSkip: number;
  /** What the decoder has to be given before a place, in samples. */
  readonly warmUp: number;
  /** The first packet that a decoder is given makes it give out nothing. */
  readonly primes: boolean;
  /** Takes a packet where it is a header: "ready" where audio follows, "bad" where it cannot be played. */
  header(packet: Uint8Array): "more" | "ready" | "bad";
  /** How many samples the decoder gives out for a packet that follows those before it; negative where it is no audio. */
  samples(packet: Uint8Array): number;
  /** The decoder forgets what was before. */
  forget(): void;
  describe(): Pick<Demuxed, "codec" | "sampleRate" | "channels" | "description" | "durationSamples">;
}

class Opus implements Codec {
  readonly primes = false;
  readonly rate = opusRate;
  readonly warmUp = opusWarmUp;
  readonly preSkip: number;
  constructor(private readonly head: OpusHead) {
    this.preSkip = head.preSkip;
  }

  header(): "ready" {
    return "ready"; // the comments
  }

  samples(packet: Uint8Array): number {
    return opusSamples(packet) || -1;
  }

  forget(): void {
    // Its memory is the warm-up.
  }

  describe(): ReturnType<Codec["describe"]> {
    return { codec: "opus", sampleRate: opusRate, channels: this.head.channels, description: this.head.description };
  }
}

class Vorbis implements Codec {
  readonly primes = true;
  readonly preSkip = 0;
  readonly rate: number;
  readonly warmUp: number;
  private comments = false;
  private modes: boolean[] = [];
  private setup = new Uint8Array();
  private before = 0;
  constructor(
    private readonly head: VorbisHead,
    private readonly id: Uint8Array,
  ) {
    this.rate = head.sampleRate;
    this.warmUp = head.long;
  }

  header(packet: Uint8Array): "more" | "ready" | "bad" {
    if (!this.comments) {
      this.comments = true;
      return "more";
    }
    const modes = vorbisModes(packet, this.head.channels);
    if (modes === undefined) return "bad";
    this.modes = modes;
    this.setup = packet.slice();
    return "ready";
  }

  /** Two windows overlap by a quarter of each; the first has none to overlap with (Vorbis I, 1.3.2). */
  samples(packet: Uint8Array): number {
    const block = vorbisBlock(packet, this.head, this.modes);
    if (block === 0) return -1;
    const samples = this.before === 0 ? 0 : (this.before + block) / 4;
    this.before = block;
    return samples;
  }

  forget(): void {
    this.before = 0;
  }

  describe(): ReturnType<Codec["describe"]> {
    return { codec: "vorbis", sampleRate: this.rate, channels: this.head.channels, description: vorbisDescription(this.id, this.setup) };
  }
}

class OggFlac implements Codec {
  readonly primes = false;
  readonly preSkip = 0;
  readonly warmUp = 0;
  readonly rate: number;
  constructor(
    private readonly stream: StreamInfo,
    /** Header packets to come; 0 where the first did not say. */
    private headers: number,
  ) {
    this.rate = stream.sampleRate;
  }

  /** The last metadata block says so in its first bit. */
  header(packet: Uint8Array): "more" | "ready" {
    return --this.headers === 0 || (packet[0] ?? 0) >= 0x80 ? "ready" : "more";
  }

  samples(packet: Uint8Array): number {
    return frameHeader(packet, 0, packet.length, this.stream)?.blockSize ?? -1;
  }

  forget(): void {
    // Frames stand for themselves.
  }

  describe(): ReturnType<Codec["describe"]> {
    return demuxed(this.stream);
  }
}

/** The codec of a logical stream by its first packet; undefined where it is none that is played. */
function codecOf(b: Uint8Array): Codec | undefined {
  const opus = opusHead(b);
  if (opus !== undefined) return new Opus(opus);
  const vorbis = vorbisHead(b);
  if (vorbis !== undefined) return new Vorbis(vorbis, b.slice());
  // FLAC's mapping: a version, how many header packets follow, then the file's own beginning.
  if (is(b, 0, "\x7fFLAC") && is(b, 9, "fLaC")) {
    const stream = streamInfo(b, 17);
    if (stream !== undefined) return new OggFlac(stream, be16(b, 7));
  }
  return undefined;
}

/** One of the streams that follow one another in a chained file (RFC 3533, 4); most files have one. */
interface Link {
  codec: Codec;
  serial: number;
  /** Where its first page stands, and where that of the next one, once seen. */
  offset: number;
  end: number;
  /** Where its first page with audio stands. */
  audio: number;
  /** Which sample by its own count is heard first, once that is known. */
  origin: number | undefined;
  /** What it decodes to before its origin. */
  trimStart: number;
  trimEnd: number;
  /** Where it begins on the listening timeline. */
  startUs: number;
  index: Index;
  /** Of what was read: samples for how many bytes. */
  read: Point;
}

interface AudioPage {
  at: number;
  length: number;
  granule: number;
  /** It begins with the rest of a packet. */
  continued: boolean;
  /** It is its stream's last. */
  last: boolean;
}

/** Opus, Vorbis and FLAC in Ogg (RFC 3533, RFC 7845, Vorbis I annex A). */
export class Ogg extends Stream {
  private links: Link[] = [];
  private link: Link | undefined;
  /** Streams that run beside ours: pictures, a skeleton. */
  private beside = new Set<number>();
  /** The link's headers have been read. */
  private ready = false;
  /** The parts of a packet that goes on in the next page, and how long they are. */
  private parts: Uint8Array[] = [];
  private partial = 0;
  private sequence = -1;
  /** The first sample of the next packet by the link's count; undefined where the next page has to say it. */
  private sample: number | undefined;
  /** The decoder has not been given anything since it was new or emptied. */
  private fresh = true;
  /** The link that the decoder is configured for. */
  private configured: Link | undefined;
  private search: Search | undefined;
  /** What ends before this time is passed over: the target of a seek. */
  private fromUs = -Infinity;

  info(): Demuxed | undefined {
    const link = this.links[0];
    return link === undefined ? undefined : this.describe(link);
  }

  private describe(link: Link): Demuxed | undefined {
    return link.origin === undefined ? undefined : { ...link.codec.describe(), trimStart: link.trimStart, trimEnd: link.trimEnd };
  }

  protected parse(out: Packet[], final: boolean): void {
    const w = this.w;
    for (;;) {
      const { buf, tail } = w;
      let i = w.head;
      while (i < tail && !(buf[i] === 0x4f && (i + 4 > tail || is(buf, i, "OggS")))) {
        i = buf.indexOf(0x4f, i + 1);
        if (i < 0 || i > tail) i = tail;
      }
      w.drop(i - w.head);
      if (w.length < 27) return;
      const segments = buf[i + 26] as number;
      let length = 27 + segments;
      if (w.length >= length) for (let k = 0; k < segments; k++) length += buf[i + 27 + k] as number;
      const whole = w.length >= length;
      if (!whole && !final) return;
      if (!whole || buf[i + 4] !== 0 || !intact(buf, i, i + length)) w.drop(1);
      else if (this.page(buf.subarray(i, i + length), out)) w.drop(length);
    }
  }

  /** False where the page is not done with, or no longer at the window's head. */
  private page(b: Uint8Array, out: Packet[]): boolean {
    const at = this.w.at;
    const flags = b[5] as number;
    const serial = le32(b, 14);
    const body = 27 + (b[26] as number);
    const { link, search } = this;
    const begins = (flags & 2) !== 0;
    if (search !== undefined && (begins || (serial !== link?.serial && !this.beside.has(serial)))) {
      // What is sought ends before this: another link of a chain.
      if (search.missed()) {
        this.leap(search.offset);
        return false;
      }
      this.search = undefined;
    }
    if (begins) {
      this.begin(b.subarray(body), serial, at);
      return true;
    }
    // The headers of a link that is entered again are known.
    if (link === undefined || serial !== link.serial || (this.ready && at < link.audio)) return true;
    const sequence = le32(b, 18);
    const lost = this.sequence >= 0 && sequence !== this.sequence + 1;
    this.sequence = sequence;
    if (lost) this.sample = undefined;
    const continued = (flags & 1) === 1;
    const audio = this.packets(b, body, continued, lost).filter((p) => {
      if (this.ready) return true;
      this.header(link, p);
      // What follows begins on a page of its own.
      link.audio = at + b.length;
      return false;
    });
    if (audio.length === 0 || !this.ready) return true;
    return this.audio(link, audio, { at, length: b.length, granule: le64(b, 6), continued, last: (flags & 4) !== 0 }, out);
  }

  /** A page that begins a logical stream. */
  private begin(packet: Uint8Array, serial: number, at: number): void {
    const known = this.links.find((l) => l.offset === at);
    if (known !== undefined) {
      this.enter(known);
      return;
    }
    const before = this.links[this.links.length - 1];
    const codec = before?.read.offset === 0 ? undefined : codecOf(packet);
    if (codec === undefined) {
      this.beside.add(serial);
      return;
    }
    if (before !== undefined) before.end = at;
    const link: Link = {
      codec,
      serial,
      offset: at,
      end: Infinity,
      audio: at,
      origin: undefined,
      trimStart: 0,
      trimEnd: 0,
      startUs: before === undefined ? 0 : this.timeOf(before, this.sample ?? before.origin ?? 0),
      index: new Index(codec.rate),
      read: { sample: 0, offset: 0 },
    };
    this.links.push(link);
    this.enter(link);
    this.ready = false;
  }

  private header(link: Link, packet: Uint8Array): void {
    const said = link.codec.header(packet);
    if (said === "ready") this.ready = true;
    if (said !== "bad") return;
    this.links.pop();
    this.link = undefined;
  }

  /** The packets that end on a page, without one whose beginning is not there. */
  private packets(b: Uint8Array, body: number, continued: boolean, lost: boolean): Uint8Array[] {
    if (lost || !continued) this.forgetParts();
    let broken = continued && this.partial === 0;
    const packets: Uint8Array[] = [];
    let from = body;
    let to = body;
    for (let k = 27; k < body; k++) {
      const n = b[k] as number;
      to += n;
      if (n === 255) continue;
      if (!broken) packets.push(this.assemble(b.subarray(from, to)));
      broken = false;
      from = to;
    }
    if (to > from && !broken) this.keep(b.subarray(from, to));
    return packets;
  }

  private forgetParts(): void {
    this.parts = [];
    this.partial = 0;
  }

  private keep(part: Uint8Array): void {
    this.partial += part.length;
    // Of what is too large only its length is kept.
    if (this.partial > largestPacket) this.parts = [];
    else this.parts.push(part.slice());
  }

  /** A packet with its last part: empty where it was too large. */
  private assemble(last: Uint8Array): Uint8Array {
    if (this.partial === 0) return last.slice();
    this.keep(last);
    const whole = new Uint8Array(this.partial > largestPacket ? 0 : this.partial);
    let i = 0;
    for (const part of this.parts) {
      whole.set(part, i);
      i += part.length;
    }
    this.forgetParts();
    return whole;
  }

  private timeOf(link: Link, sample: number): number {
    return link.startUs + Math.round(((sample - (link.origin ?? 0)) * 1e6) / link.codec.rate);
  }

  /** The packets that end on a page; its granule position is the sample behind the last of them. */
  private audio(link: Link, packets: Uint8Array[], page: AudioPage, out: Packet[]): boolean {
    const { codec, index } = link;
    const entering = this.sample === undefined;
    const counts = packets.map((p) => codec.samples(p));
    const all = counts.reduce((sum, n) => sum + Math.max(0, n), 0);
    let sample = this.sample;
    if (sample === undefined) {
      if (page.granule < 0) return true;
      // The granule of the last page says where to stop, not how much it decodes to. Where it is the first too it begins
      // at 0; else what was read before has to say, or the page before it.
      const [known] = index.around(Infinity);
      if (!page.last) sample = page.granule - all;
      else if (link.origin === undefined) sample = 0;
      else if (known?.offset === page.at) sample = known.sample;
      else if (this.search?.missed() === true) {
        this.leap(this.search.offset);
        return false;
      } else sample = page.granule - all;
    }
    if (link.origin === undefined) {
      link.origin = codec.preSkip > 0 ? sample + codec.preSkip : Math.max(0, sample);
      link.trimStart = link.origin - sample;
    }
    if (this.search !== undefined) {
      if (!this.search.landed({ sample, offset: page.at })) {
        this.leap(this.search.offset);
        return false;
      }
      this.search = undefined;
    }
    // As it is for who enters here: without a packet whose beginning is not there, or whose samples need one before it.
    const lead = entering ? 0 : (page.continued ? 1 : 0) + (codec.primes ? 1 : 0);
    index.add(counts.slice(0, lead).reduce((sum, n) => sum + Math.max(0, n), sample), page.at, page.last);
    link.read = { sample: link.read.sample + all, offset: link.read.offset + page.length };
    const stop = page.last && page.granule >= 0 ? page.granule : Infinity;
    let cut = 0;
    for (const [i, data] of packets.entries()) {
      const count = counts[i] as number;
      if (count < 0) continue;
      const begin = sample;
      sample += count;
      const kept = Math.max(0, Math.min(sample, stop) - begin);
      cut += count - kept;
      if (this.timeOf(link, sample) <= this.fromUs) continue;
      // What needs one before it to give anything gives nothing yet: what it would have given counts as past.
      const prime = this.fresh && codec.primes;
      if (kept > 0 || prime) this.give(link, data, prime ? sample : begin, prime ? 0 : kept, out);
    }
    if (page.last) link.trimEnd = cut;
    this.sample = Math.min(sample, stop);
    return true;
  }

  private give(link: Link, data: Uint8Array, sample: number, samples: number, out: Packet[]): void {
    const packet: Packet = { data, timestampUs: this.timeOf(link, sample), samples };
    if (this.configured !== undefined && this.configured !== link) {
      const config = this.describe(link);
      if (config !== undefined) packet.config = config;
    }
    this.configured = link;
    this.fresh = false;
    out.push(packet);
  }

  override end(): Packet[] {
    const out = super.end();
    if (this.search?.missed() === true) this.leap(this.search.offset);
    return out;
  }

  seek(ms: number, sizeBytes: number): { offset: number; reset: () => void } {
    const targetUs = Math.max(0, ms * 1000);
    const link = this.links.findLast((l) => l.startUs <= targetUs && l.origin !== undefined);
    if (link?.origin === undefined) return { offset: this.start, reset: () => this.startAgain() };
    const { codec, read } = link;
    const target = link.origin + Math.round(((targetUs - link.startUs) * codec.rate) / 1e6) - codec.warmUp;
    let low: Point = { sample: link.origin - link.trimStart, offset: link.audio };
    const end = Math.min(link.end, sizeBytes);
    const all = low.sample + ((end - link.audio) * read.sample) / Math.max(1, read.offset);
    let high: Point = { sample: Math.max(all, target + codec.rate), offset: end };
    const [before, behind] = link.index.around(target);
    if (before !== undefined && before.offset > low.offset) low = before;
    if (behind !== undefined && behind.offset < high.offset) high = behind;
    const search = new Search(target, low, high, codec.rate);
    return {
      offset: search.offset,
      reset: () => {
        this.restart(search.offset);
        this.enter(link);
        this.search = search;
        this.fromUs = targetUs - (codec.warmUp * 1e6) / codec.rate;
      },
    };
  }

  private startAgain(): void {
    this.restart(this.start);
    this.links = [];
    this.link = undefined;
    this.search = undefined;
    this.fromUs = -Infinity;
  }

  /** Goes on in a link whose headers were read before. */
  private enter(link: Link): void {
    this.link = link;
    this.ready = true;
    this.sample = undefined;
    this.sequence = -1;
    this.fresh = true;
    this.forgetParts();
    link.codec.forget();
  }

  private leap(offset: number): void {
    if (this.link !== undefined) this.enter(this.link);
    this.goTo(offset);
  }
}
