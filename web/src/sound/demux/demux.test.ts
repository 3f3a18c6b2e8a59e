import { createHash } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { type Demuxed, type Demuxer, openDemuxer, type Packet } from "./index";
import { Bench, bytesOf, decoded, music, packetsOf } from "./reference";

const bench = new Bench();
afterAll(() => bench.close());

/** A small generator with a seed (xorshift32), so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

const md5 = (b: Uint8Array): string => createHash("md5").update(b).digest("hex");

function open(type: string, file: Uint8Array): Demuxer {
  const d = openDemuxer(type, file.subarray(0, 16384));
  if (d === undefined) throw new Error("not recognised");
  return d;
}

/** Reads a file as a reader on a network would: pieces of given sizes, going where the demuxer wants. */
function read(d: Demuxer, file: Uint8Array, from: number, pieces: () => number): Packet[] {
  const out: Packet[] = [];
  let at = from;
  let jumps = 0;
  for (;;) {
    while (at < file.length) {
      const n = Math.max(1, Math.floor(pieces()));
      const piece = file.slice(at, at + n);
      for (const p of d.push(piece, at)) out.push(p);
      piece.fill(0xff); // what was pushed is the caller's again
      at += piece.length;
      const next = d.wants();
      if (next !== undefined && next !== at) {
        expect(++jumps, "it goes to and fro").toBeLessThan(64);
        at = next;
      }
    }
    for (const p of d.end()) out.push(p);
    const next = d.wants();
    if (next === undefined || next >= file.length) return out;
    expect(++jumps, "it goes to and fro").toBeLessThan(64);
    at = next;
  }
}

const whole = (type: string, file: Uint8Array): { packets: Packet[]; info: Demuxed } => {
  const d = open(type, file);
  const packets = read(d, file, 0, () => 65536);
  const info = d.info();
  if (info === undefined) throw new Error("no headers");
  return { packets, info };
};

const same = (a: Packet, b: Packet | undefined): boolean =>
  b !== undefined && a.timestampUs === b.timestampUs && a.samples === b.samples && Buffer.compare(a.data, b.data) === 0;

const sampleOf = (p: Packet, rate: number): number => Math.round((p.timestampUs * rate) / 1e6);

/** How many samples are heard by the rule that Packet states. */
const heard = (packets: Packet[], rate: number): number =>
  packets.reduce((sum, p) => sum + Math.max(0, p.samples + Math.min(0, sampleOf(p, rate))), 0);

interface Case {
  name: string;
  type: string;
  options: string[];
  input?: string[];
  codec: string;
  rate: number;
  channels?: number;
  /** Where the packets of ffprobe are ours: the same bytes. */
  same?: boolean;
}

const cases: Case[] = [
  { name: "cd.flac", type: "audio/flac", options: ["-c:a", "flac"], codec: "flac", rate: 44100 },
  { name: "small.flac", type: "audio/flac", options: ["-c:a", "flac", "-frame_size", "576", "-compression_level", "0"], codec: "flac", rate: 44100 },
  { name: "high.flac", type: "audio/flac", options: ["-c:a", "flac", "-sample_fmt", "s32", "-ar", "96000"], input: music(2, 96000), codec: "flac", rate: 96000 },
  { name: "mono.flac", type: "audio/flac", options: ["-c:a", "flac"], input: music(2, 22050, 1), codec: "flac", rate: 22050, channels: 1 },
  { name: "surround.flac", type: "audio/flac", options: ["-c:a", "flac", "-ac", "6"], input: music(1, 48000), codec: "flac", rate: 48000, channels: 6 },
  { name: "cbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "128k"], codec: "mp3", rate: 44100 },
  { name: "vbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-q:a", "2", "-id3v2_version", "3"], codec: "mp3", rate: 44100 },
  { name: "bare.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "320k", "-write_xing", "0", "-id3v2_version", "0"], codec: "mp3", rate: 44100 },
  { name: "tagged.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "64k", "-write_id3v1", "1", "-metadata", "title=x"], codec: "mp3", rate: 44100 },
  { name: "low.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "24k"], input: music(2, 16000, 1), codec: "mp3", rate: 16000, channels: 1 },
  { name: "48k.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "192k"], input: music(2, 48000), codec: "mp3", rate: 48000 },
  { name: "layer2.mp2", type: "audio/mpeg", options: ["-c:a", "mp2", "-b:a", "192k"], codec: "mp2", rate: 44100 },
  { name: "plain.aac", type: "audio/aac", options: ["-c:a", "aac", "-b:a", "128k", "-f", "adts"], codec: "mp4a.40.2", rate: 44100 },
  { name: "opus.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "96k"], codec: "opus", rate: 48000 },
  { name: "speech.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "16k", "-frame_duration", "60"], input: music(2, 48000, 1), codec: "opus", rate: 48000, channels: 1 },
  { name: "vorbis.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "5"], codec: "vorbis", rate: 44100 },
  { name: "quiet.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "0"], input: music(1, 22050, 1), codec: "vorbis", rate: 22050, channels: 1 },
  { name: "flac.oga", type: "audio/ogg", options: ["-c:a", "flac"], codec: "flac", rate: 44100 },
];

describe.each(cases)("$name", ({ name, type, options, input, codec, rate, channels = 2 }) => {
  const file = bench.make(name, options, input);
  const bytes = bytesOf(file);
  const reference = packetsOf(file);
  const pcm = decoded(file);
  const { packets, info } = whole(type, bytes);

  it("gives the packets that ffprobe gives, at their times", () => {
    expect(info).toMatchObject({ codec, sampleRate: rate, channels });
    expect(packets.map((p) => md5(p.data))).toEqual(reference.map((p) => p.hash));
    let sample = 0 - info.trimStart;
    for (const p of packets) {
      expect(sampleOf(p, rate)).toBe(sample);
      sample += p.samples;
    }
  });

  it("keeps as many samples as ffmpeg decodes", () => {
    expect(heard(packets, rate)).toBe(pcm.length / channels);
    if (info.durationSamples !== undefined) expect(info.durationSamples).toBe(pcm.length / channels);
  });

  it("does not mind how the bytes are cut up", () => {
    const random = seeded(bytes.length);
    const tests: (() => number)[] = [() => 1, () => bytes.length, () => random() * 40, () => random() * 5000, () => 10 ** (random() * 5)];
    for (const pieces of tests) {
      const d = open(type, bytes);
      const got = read(d, bytes, 0, pieces);
      expect(got.length).toBe(packets.length);
      expect(got.every((p, i) => same(p, packets[i]))).toBe(true);
      expect(d.info()).toEqual(info);
    }
  });

  it("goes to any time, and gives from there on what it gives in order", () => {
    const random = seeded(7);
    const lengthMs = (pcm.length / channels / rate) * 1000;
    const d = open(type, bytes);
    // At first it knows only the beginning.
    for (let i = 0; d.info() === undefined && i < bytes.length; i += 20000) d.push(bytes.subarray(i, i + 20000));
    for (const ms of [0, lengthMs * 0.9, lengthMs * 0.5, ...Array.from({ length: 12 }, () => random() * lengthMs), lengthMs - 1]) {
      const { offset, reset } = d.seek(ms, bytes.length);
      reset();
      const got = read(d, bytes, offset, () => 10 ** (random() * 4.5));
      const at = packets.findIndex((p) => p.timestampUs + (p.samples * 1e6) / rate > ms * 1000);
      const first = got.findIndex((p) => p.timestampUs === packets[at]?.timestampUs && p.samples > 0);
      expect(first, `${ms} ms`).toBeGreaterThanOrEqual(0);
      expect(got.slice(first).every((p, i) => same(p, packets[at + i]))).toBe(true);
      expect(got.length - first).toBe(packets.length - at);
      // What comes before is what a decoder needs, and not much more.
      expect(got[0]?.timestampUs).toBeLessThanOrEqual(ms * 1000);
      expect(got[0]?.timestampUs).toBeGreaterThan(ms * 1000 - 800_000);
    }
  });

  it("survives any damage", () => {
    const random = seeded(bytes.length + 1);
    for (let round = 0; round < 60; round++) {
      const broken = bytes.slice(0, random() < 0.3 ? Math.floor(random() * bytes.length) : bytes.length);
      for (let n = 10 ** (random() * 3); n > 0; n--) {
        const at = Math.floor(random() ** (round % 2 ? 4 : 1) * broken.length);
        const run = random() < 0.1 ? Math.floor(random() * 300) : 1;
        const value = Math.floor(random() * 256);
        for (let k = at; k < Math.min(at + run, broken.length); k++) broken[k] = random() < 0.5 ? value : Math.floor(random() * 256);
      }
      const d = openDemuxer(type, broken.subarray(0, 16384));
      if (d === undefined) continue;
      const got = read(d, broken, 0, () => 10 ** (random() * 5));
      const size = got.reduce((sum, p) => sum + p.data.length, 0);
      expect(size).toBeLessThanOrEqual(broken.length * 2);
      for (const p of got) expect(Number.isSafeInteger(p.timestampUs) && p.samples >= 0).toBe(true);
      if (d.info() !== undefined) {
        const { offset, reset } = d.seek(random() * 2000, broken.length);
        reset();
        read(d, broken, offset, () => 20000);
      }
    }
  });
});
