import { audioConfig } from "./aac";
import { be16, be32, be64, is, le16 } from "./bytes";
import { description as flacDescription, streamInfo } from "./flac";
import { opusHead, opusRate, opusWarmUp } from "./opus";
import { type Point, Stream } from "./stream";
import type { Demuxed, Packet } from "./types";

/** The largest box that is read whole: the sizes of eight million packets, some fifty hours. */
const largestBox = 1 << 25;

/** A packet that is larger is passed over. */
const largestPacket = 1 << 20;

/** Fragments of which the place is kept, and packets that one may have. */
const most = 1 << 16;

const containers = new Set(["moov", "trak", "mdia", "minf", "stbl", "edts", "udta", "mvex", "moof", "traf", "ilst", "----"]);

/** Repeated values, as stts has them: from which packet and which time on. */
interface Run {
  first: number;
  time: number;
  step: number;
}

/** What a trak box says (ISO 14496-12, clause 8). */
class Track {
  id = 0;
  sound = false;
  timescale = 0;
  /** What to configure a decoder with; times and trims are added later. */
  config: Pick<Demuxed, "codec" | "sampleRate" | "channels" | "description"> | undefined;
  warmUp = 0;
  runs: Run[] = [];
  /** Packets and time in all, by stts. */
  timed = { packets: 0, time: 0 };
  /** The size that all packets have; 0 where sizes has them. */
  size = 0;
  sizes = new Uint32Array();
  packets = 0;
  chunks = new Float64Array();
  /** Which packet each chunk begins with. */
  firsts = new Uint32Array();
  /** stsc: from which chunk on (counted from 0) a chunk has how many packets. */
  perChunk: { first: number; count: number }[] = [];
  /** The edit list: where what is to be heard begins, in the media's time, and how long it is, in the movie's; 0 where it does not say. */
  edit: { start: number; duration: number } | undefined;
  // Defaults for fragments (trex, tfhd).
  duration = 0;
  bytes = 0;

  sizeOf(packet: number): number {
    return this.size > 0 ? this.size : (this.sizes[packet] ?? 0);
  }

  /** Which packets are in which chunks. False where the tables do not fit together. */
  lay(): boolean {
    if (this.perChunk.length === 0) return false;
    this.firsts = new Uint32Array(this.chunks.length);
    let packet = 0;
    let run = 0;
    for (let c = 0; c < this.chunks.length; c++) {
      while (run + 1 < this.perChunk.length && (this.perChunk[run + 1] as { first: number }).first <= c) run++;
      this.firsts[c] = packet;
      packet = Math.min(packet + (this.perChunk[run] as { count: number }).count, this.packets);
    }
    this.packets = Math.min(packet, this.timed.packets);
    return this.packets > 0;
  }

  /** The last run at or before a packet, or at or before a time. */
  run(by: "first" | "time", value: number): Run {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.runs[mid] as Run)[by] <= value) low = mid + 1;
      else high = mid;
    }
    return this.runs[Math.max(0, low - 1)] ?? { first: 0, time: 0, step: 0 };
  }
}

/** A packet of a fragment. */
interface Piece {
  offset: number;
  size: number;
  time: number;
  duration: number;
}

/** Descriptors of ISO 14496-1, 8.3.3: a tag and a length in bytes of seven bits. */
function descriptor(b: Uint8Array, i: number): { tag: number; begin: number; end: number } | undefined {
  const tag = b[i++];
  if (tag === undefined) return undefined;
  let length = 0;
  for (let k = 0; k < 4; k++) {
    const v = b[i++] ?? 0;
    length = length * 128 + (v & 0x7f);
    if (v < 0x80) break;
  }
  return { tag, begin: i, end: Math.min(b.length, i + length) };
}

/** The codec's object type and its own configuration out of an esds box (ISO 14496-14, 5.6). */
function esds(b: Uint8Array): { type: number; specific: Uint8Array } | undefined {
  const es = descriptor(b, 4);
  if (es?.tag !== 3) return undefined;
  const flags = b[es.begin + 2] ?? 0;
  let i = es.begin + 3 + (flags & 0x80 ? 2 : 0);
  if (flags & 0x40) i += 1 + (b[i] ?? 0);
  if (flags & 0x20) i += 2;
  const decoder = descriptor(b, i);
  if (decoder?.tag !== 4) return undefined;
  const specific = descriptor(b, decoder.begin + 13);
  return {
    type: b[decoder.begin] ?? 0,
    specific: specific?.tag === 5 && decoder.begin + 13 < decoder.end ? b.slice(specific.begin, specific.end) : new Uint8Array(),
  };
}

/** A box of a type among those that follow one another from i on. */
function child(b: Uint8Array, i: number, type: string): Uint8Array | undefined {
  while (i + 8 <= b.length) {
    const size = be32(b, i);
    if (size < 8) return undefined;
    if (is(b, i + 4, type)) return b.subarray(i + 8, Math.min(b.length, i + size));
    i += size;
  }
  return undefined;
}

/** The first entry of an stsd box, as far as it is about sound (ISO 14496-12, 12.2.3; QuickTime's versions 1 and 2). */
function soundEntry(b: Uint8Array, track: Track): void {
  const size = be32(b, 8);
  const entry = b.subarray(8, 8 + size);
  if (entry.length < 36) return;
  const fourcc = String.fromCharCode(...entry.subarray(4, 8));
  const version = be16(entry, 16);
  let channels = be16(entry, 24);
  let sampleRate = be16(entry, 32);
  if (version === 2 && entry.length >= 72) channels = be32(entry, 48);
  const boxes = 36 + (version === 1 ? 16 : version === 2 ? 36 : 0);
  track.config = { codec: fourcc.trim(), sampleRate: sampleRate || track.timescale, channels };
  switch (fourcc) {
    case "mp4a": {
      const found = child(entry, boxes, "esds") ?? child(child(entry, boxes, "wave") ?? new Uint8Array(), 0, "esds");
      const config = found && esds(found);
      if (config === undefined) return;
      // Object types: ISO 14496-1, table 5 (registered at mp4ra.org).
      if (config.type === 0x69 || config.type === 0x6b) {
        track.config.codec = "mp3";
        track.warmUp = 11520;
      } else if (config.type === 0x40 || (config.type >= 0x66 && config.type <= 0x68)) {
        const aac = audioConfig(config.specific);
        if (aac === undefined) return;
        // One frame for the overlap of the transform, one for what spectral band replication keeps.
        track.warmUp = 2 * 2048;
        sampleRate = aac.sampleRate;
        track.config = { codec: `mp4a.40.${aac.object}`, sampleRate, channels: aac.channels || channels, description: config.specific };
      } else track.config.codec = `mp4a.${config.type.toString(16)}`;
      return;
    }
    case ".mp3":
      track.config.codec = "mp3";
      track.warmUp = 11520;
      return;
    case "fLaC": {
      const blocks = child(entry, boxes, "dfLa");
      const info = blocks && streamInfo(blocks, 8);
      if (info !== undefined) track.config = { codec: "flac", sampleRate: info.sampleRate, channels: info.channels, description: flacDescription(info) };
      return;
    }
    case "Opus": {
      // dOps is OpusHead in the other byte order, its version 0 (Opus in ISOBMFF, 4.3.2).
      const d = child(entry, boxes, "dOps");
      if (d === undefined || d.length < 11) return;
      const head = new Uint8Array(8 + d.length);
      head.set(new TextEncoder().encode("OpusHead"));
      head.set(d, 8);
      head[8] = 1;
      new DataView(head.buffer).setUint32(12, be32(d, 4), true);
      head.set([d[9] ?? 0, d[8] ?? 0], 16);
      const opus = opusHead(head);
      if (opus !== undefined) track.config = { codec: "opus", sampleRate: opusRate, channels: opus.channels, description: opus.description };
      track.warmUp = opusWarmUp;
      // Without an edit list the pre-skip says where to begin.
      track.edit ??= { start: (le16(head, 10) * track.timescale) / opusRate, duration: 0 };
      return;
    }
    case "enca":
    case "drms":
      track.config.codec = "drm";
  }
}

/** MP4 and QuickTime files with sound in them (ISO 14496-12), whole or in fragments. */
export class Mp4 extends Stream {
  private tracks: Track[] = [];
  private movieTimescale = 0;
  /** The boxes around where it stands. */
  private around: { type: string; end: number }[] = [];
  private track: Track | undefined;
  private fragmented = false;
  private itunesName = "";
  /** What iTunes wrote of gaps: samples before, and to be heard. */
  private gaps: { start: number; length: number } | undefined;
  private ready: { track: Track; start: number; end: number; info: Demuxed } | undefined;

  // In whole files: the next packet, its chunk and place.
  private reading = false;
  private packet = 0;
  private chunk = 0;
  private offset = 0;

  // In fragments.
  private moofAt = 0;
  private traf: { track: Track; base: number; time: number; duration: number; bytes: number } | undefined;
  private pieces: Piece[] = [];
  /** The end of the last fragment's time, where the next one does not say its own. */
  private time = 0;
  private mdatEnd = 0;
  /** Fragments by their first time: seen, or by an index of segments. */
  private fragments: Point[] = [];
  /** Packets before this time are passed over: the target of a seek, in the media's time. */
  private from = -Infinity;

  info(): Demuxed | undefined {
    return this.ready?.info;
  }

  protected parse(out: Packet[]): void {
    while (!this.finished) if (!(this.reading ? this.read(out) : this.box())) return;
  }

  /** Goes one box further; false where that needs more bytes. */
  private box(): boolean {
    const w = this.w;
    const inside = this.around[this.around.length - 1];
    if (inside !== undefined && w.at >= inside.end) {
      this.around.pop();
      if (inside.type === "moov") this.movie();
      if (inside.type === "moof") this.track = undefined;
      return true;
    }
    if (w.length < 16 && (w.length < 8 || be32(w.view(), 0) === 1)) return false;
    const b = w.view();
    const type = String.fromCharCode(...b.subarray(4, 8));
    let header = 8;
    let size = be32(b, 0);
    if (size === 1) [size, header] = [be64(b, 8), 16];
    if (size === 0) size = Infinity;
    if (size < header) {
      this.finished = true;
      return false;
    }
    const end = Math.min(w.at + size, inside?.end ?? Infinity);
    if (containers.has(type) && this.around.length < 16) {
      this.around.push({ type, end });
      if (type === "trak") this.tracks.push((this.track = new Track()));
      if (type === "moof") this.moofAt = w.at;
      this.goTo(w.at + header);
      return true;
    }
    if (type === "meta") {
      // A full box, but in QuickTime files a plain one.
      if (w.length < header + 8) return false;
      this.around.push({ type, end });
      this.goTo(w.at + header + (is(b, header + 4, "hdlr") ? 0 : 4));
      return true;
    }
    if (type === "mdat" && this.ready !== undefined && this.pieces.length > 0) {
      this.mdatEnd = end;
      this.reading = true;
      return true;
    }
    const take = this.leaves[type];
    const body = end - w.at - header;
    if (take !== undefined && body <= largestBox) {
      if (w.length < header + body) return false;
      take(b.subarray(header, header + body));
    }
    if (end === Infinity) {
      this.finished = true;
      return false;
    }
    this.goTo(end);
    return true;
  }

  /** What is done with boxes that are read whole. */
  private readonly leaves: Record<string, (b: Uint8Array) => void> = {
    mvhd: (b) => (this.movieTimescale = be32(b, b[0] === 1 ? 20 : 12)),
    tkhd: (b) => this.track && (this.track.id = be32(b, b[0] === 1 ? 20 : 12)),
    mdhd: (b) => this.track && (this.track.timescale = be32(b, b[0] === 1 ? 20 : 12)),
    hdlr: (b) => {
      if (this.track !== undefined && is(b, 8, "soun")) this.track.sound = true;
    },
    elst: (b) => this.track && this.editList(b, this.track),
    stsd: (b) => {
      if (this.track?.sound === true) soundEntry(b, this.track);
    },
    stts: (b) => {
      const { track } = this;
      if (track === undefined) return;
      for (let i = 8; i + 8 <= b.length && i < 8 + be32(b, 4) * 8; i += 8) {
        const [count, step] = [be32(b, i), be32(b, i + 4)];
        track.runs.push({ first: track.timed.packets, time: track.timed.time, step });
        track.timed = { packets: track.timed.packets + count, time: track.timed.time + count * step };
      }
    },
    stsc: (b) => {
      const { track } = this;
      if (track === undefined) return;
      for (let i = 8; i + 12 <= b.length && i < 8 + be32(b, 4) * 12; i += 12) track.perChunk.push({ first: be32(b, i) - 1, count: be32(b, i + 4) });
    },
    stsz: (b) => {
      const { track } = this;
      if (track === undefined) return;
      track.size = be32(b, 4);
      track.packets = be32(b, 8);
      if (track.size > 0) return;
      track.packets = Math.min(track.packets, (b.length - 12) >> 2);
      track.sizes = Uint32Array.from({ length: track.packets }, (_, k) => be32(b, 12 + 4 * k));
    },
    stco: (b) => {
      const n = Math.min(be32(b, 4), (b.length - 8) >> 2);
      if (this.track !== undefined) this.track.chunks = Float64Array.from({ length: Math.max(0, n) }, (_, k) => be32(b, 8 + 4 * k));
    },
    co64: (b) => {
      const n = Math.min(be32(b, 4), (b.length - 8) >> 3);
      if (this.track !== undefined) this.track.chunks = Float64Array.from({ length: Math.max(0, n) }, (_, k) => be64(b, 8 + 8 * k));
    },
    trex: (b) => {
      this.fragmented = true;
      const track = this.tracks.find((t) => t.id === be32(b, 4));
      if (track !== undefined) [track.duration, track.bytes] = [be32(b, 12), be32(b, 16)];
    },
    tfhd: (b) => this.fragmentHeader(b),
    tfdt: (b) => this.traf && (this.traf.time = b[0] === 1 ? be64(b, 4) : be32(b, 4)),
    trun: (b) => this.fragmentRun(b),
    sidx: (b) => this.segmentIndex(b),
    name: (b) => (this.itunesName = new TextDecoder().decode(b.subarray(4, 64))),
    data: (b) => {
      if (this.itunesName !== "iTunSMPB" || b.length > 512) return;
      // Hexadecimal words: nothing, the encoder's delay, its padding, how many samples are between.
      const [, delay, padding, length] = new TextDecoder().decode(b.subarray(8)).trim().split(/\s+/).map((v) => parseInt(v, 16));
      this.itunesName = "";
      if (delay !== undefined && padding !== undefined && length !== undefined && length > 0) this.gaps = { start: delay, length };
    },
  };

  /** elst (ISO 14496-12, 8.6.6): the first entry that is not an empty one. */
  private editList(b: Uint8Array, track: Track): void {
    const wide = b[0] === 1;
    const step = wide ? 20 : 12;
    for (let i = 8; i + step <= b.length && i < 8 + be32(b, 4) * step; i += step) {
      const empty = be32(b, wide ? i + 8 : i + 4) === 0xffffffff;
      if (empty) continue;
      track.edit = wide ? { duration: be64(b, i), start: be64(b, i + 8) } : { duration: be32(b, i), start: be32(b, i + 4) };
      return;
    }
  }

  /** The moov box has ended: which track it is, and what of it is to be heard. */
  private movie(): void {
    this.track = undefined;
    const track = this.tracks.find((t) => t.sound && t.config !== undefined && t.timescale > 0);
    if (this.ready !== undefined || track?.config === undefined || track.config.sampleRate === 0) {
      this.finished = this.ready === undefined;
      return;
    }
    const whole = track.lay();
    if (!whole && !this.fragmented) {
      this.finished = true;
      return;
    }
    const perTick = track.config.sampleRate / track.timescale;
    const all = whole ? track.timed.time : Infinity;
    let start = track.edit?.start ?? 0;
    let end = all;
    if (this.gaps !== undefined) {
      start = this.gaps.start / perTick;
      end = Math.min(end, start + this.gaps.length / perTick);
    } else if (track.edit !== undefined && track.edit.duration > 0 && this.movieTimescale > 0 && whole) {
      // The movie's clock often counts milliseconds: a difference that its rounding explains is none.
      const tick = track.timescale / this.movieTimescale;
      const edited = start + track.edit.duration * tick;
      if (edited < end - tick) end = Math.round(edited);
    }
    this.ready = {
      track,
      start,
      end,
      info: {
        ...track.config,
        ...(end < Infinity ? { durationSamples: Math.round((end - start) * perTick) } : {}),
        trimStart: Math.round(start * perTick),
        trimEnd: end < Infinity ? Math.round((all - end) * perTick) : 0,
      },
    };
    if (whole) this.enter(0);
  }

  /** Goes on with a packet of a whole file. */
  private enter(packet: number): void {
    const { track } = this.ready as { track: Track };
    let low = 0;
    let high = track.firsts.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((track.firsts[mid] as number) <= packet) low = mid + 1;
      else high = mid;
    }
    this.chunk = Math.max(0, low - 1);
    this.packet = packet;
    this.offset = track.chunks[this.chunk] ?? 0;
    for (let k = track.firsts[this.chunk] ?? 0; k < packet; k++) this.offset += track.sizeOf(k);
    this.reading = true;
  }

  /** Reads one packet; false where it is not there yet. */
  private read(out: Packet[]): boolean {
    const { ready, w } = this;
    if (ready === undefined) return false;
    const { track } = ready;
    const fragment = this.pieces[0];
    if (fragment === undefined && this.packet >= track.packets) {
      this.reading = false;
      if (!this.fragmented) this.finished = true;
      else if (this.mdatEnd < Infinity) this.goTo(Math.max(this.mdatEnd, w.at));
      else this.finished = true;
      return true;
    }
    if (fragment === undefined) {
      const next = track.firsts[this.chunk + 1];
      if (next !== undefined && this.packet >= next) {
        this.chunk++;
        this.offset = track.chunks[this.chunk] as number;
        return true;
      }
    }
    const size = fragment?.size ?? track.sizeOf(this.packet);
    const offset = fragment?.offset ?? this.offset;
    if (size > 0 && size <= largestPacket && (fragment === undefined || offset >= w.at)) {
      if (offset !== w.at) this.goTo(offset);
      if (w.length < size) return false;
      const run = track.run("first", this.packet);
      const time = fragment?.time ?? run.time + (this.packet - run.first) * run.step;
      this.give(ready, time, fragment?.duration ?? run.step, size, out);
      w.drop(size);
    }
    if (fragment !== undefined) this.pieces.shift();
    else {
      this.offset += size;
      this.packet++;
    }
    return true;
  }

  private give(ready: { track: Track; start: number; end: number; info: Demuxed }, time: number, duration: number, size: number, out: Packet[]): void {
    if (time + duration <= this.from) return;
    const { buf, head } = this.w;
    const kept = Math.min(duration, ready.end - time);
    const timestampUs = Math.round(((time - ready.start) * 1e6) / ready.track.timescale);
    if (kept <= 0 || !Number.isSafeInteger(timestampUs)) return;
    out.push({
      data: buf.slice(head, head + size),
      timestampUs,
      samples: Math.round((kept * ready.info.sampleRate) / ready.track.timescale),
    });
  }

  /** tfhd (ISO 14496-12, 8.8.7). */
  private fragmentHeader(b: Uint8Array): void {
    const flags = be32(b, 0) & 0xffffff;
    const track = this.tracks.find((t) => t.id === be32(b, 4));
    this.traf = undefined;
    if (track === undefined || track !== this.ready?.track) return;
    let i = 8;
    const traf = { track, base: this.moofAt, time: this.time, duration: track.duration, bytes: track.bytes };
    if (flags & 0x01) [traf.base, i] = [be64(b, i), i + 8];
    if (flags & 0x02) i += 4;
    if (flags & 0x08) [traf.duration, i] = [be32(b, i), i + 4];
    if (flags & 0x10) traf.bytes = be32(b, i);
    this.traf = traf;
  }

  /** trun (ISO 14496-12, 8.8.8). */
  private fragmentRun(b: Uint8Array): void {
    const { traf } = this;
    if (traf === undefined) return;
    const flags = be32(b, 0) & 0xffffff;
    const count = be32(b, 4);
    let i = 8;
    let { base, time } = traf;
    if (flags & 0x01) [base, i] = [base + (be32(b, i) | 0), i + 4];
    if (flags & 0x04) i += 4;
    this.fragment(time, this.moofAt);
    const step = (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0) + (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4 : 0);
    for (let k = 0; k < count && i + step <= b.length && this.pieces.length < most; k++, i += step) {
      let at = i;
      let { duration, bytes: size } = traf;
      if (flags & 0x100) [duration, at] = [be32(b, at), at + 4];
      if (flags & 0x200) size = be32(b, at);
      this.pieces.push({ offset: base, size, time, duration });
      base += size;
      time += duration;
    }
    traf.base = base;
    traf.time = this.time = time;
  }

  /** Where a fragment stands, for seeking. */
  private fragment(sample: number, offset: number): void {
    const last = this.fragments[this.fragments.length - 1];
    if (this.fragments.length < most && (last === undefined || (sample > last.sample && offset > last.offset))) this.fragments.push({ sample, offset });
  }

  /** sidx (ISO 14496-12, 8.16.3), where its references are to media. */
  private segmentIndex(b: Uint8Array): void {
    const timescale = be32(b, 8);
    const wide = b[0] === 1;
    const { ready } = this;
    if (ready === undefined || timescale === 0) return;
    let time = wide ? be64(b, 12) : be32(b, 12);
    // Offsets count from the end of this box, which is where the window will stand.
    let offset = this.w.at + 8 + b.length + (wide ? be64(b, 20) : be32(b, 16));
    for (let i = wide ? 32 : 24; i + 12 <= b.length; i += 12) {
      if (be32(b, i) >= 0x80000000) return;
      this.fragment((time * ready.track.timescale) / timescale, offset);
      offset += be32(b, i);
      time += be32(b, i + 4);
    }
  }

  override end(): Packet[] {
    const out = super.end();
    // What it still wants lies behind the end of the file.
    if (this.position >= this.expected) this.finished = true;
    return out;
  }

  seek(ms: number): { offset: number; reset: () => void } {
    const { ready } = this;
    if (ready === undefined) return { offset: this.start, reset: () => this.startAgain() };
    const { track, info } = ready;
    const time = ready.start + (Math.max(0, ms) / 1000) * track.timescale;
    const from = time - (track.warmUp * track.timescale) / info.sampleRate;
    if (track.packets > 0) {
      const run = track.run("time", from);
      const packet = Math.max(0, Math.min(track.packets - 1, run.first + (run.step > 0 ? Math.floor((from - run.time) / run.step) : 0)));
      this.enter(packet);
      const { offset } = this;
      return {
        offset,
        reset: () => {
          this.restart(offset);
          this.from = from;
          this.enter(packet);
        },
      };
    }
    const point = this.fragments.findLast((p) => p.sample <= from) ?? this.fragments[0];
    const offset = point?.offset ?? this.start;
    return {
      offset,
      reset: () => {
        this.restart(offset);
        this.reading = false;
        this.around = [];
        this.pieces = [];
        this.traf = undefined;
        this.time = point?.sample ?? 0;
        this.from = from;
      },
    };
  }

  private startAgain(): void {
    this.restart(this.start);
    this.around = [];
    this.tracks = [];
    this.track = undefined;
    this.reading = false;
  }
}
