import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Demuxed, type Demuxer, openDemuxer, type Packet } from "./index";
import { Bench, type Made, md5, seeded } from "./reference";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

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

/** What packets without compression mean: floats, as ffmpeg makes them. */
function numbersOf(codec: string, packets: Packet[]): Float32Array {
  const all = Buffer.concat(packets.map((p) => p.data));
  const bytes = Number(codec.slice(5)) / 8;
  return Float32Array.from({ length: all.length / bytes }, (_, i) => {
    if (codec === "pcm-f32") return all.readFloatLE(i * 4);
    return codec === "pcm-u8" ? ((all[i] as number) - 128) / 128 : all.readIntLE(i * bytes, bytes) / 2 ** (8 * bytes - 1);
  });
}

interface Case extends Made {
  type: string;
  codec: string;
  rate: number;
  channels?: number;
  /** How many samples the music had, where this version of ffmpeg does not cut off what the file says not to play. */
  heard?: number;
}

const cases: Case[] = [
  { name: "cd.flac", type: "audio/flac", options: ["-c:a", "flac"], codec: "flac", rate: 44100 },
  { name: "small.flac", type: "audio/flac", options: ["-c:a", "flac", "-frame_size", "576", "-compression_level", "0"], codec: "flac", rate: 44100 },
  { name: "high.flac", type: "audio/flac", options: ["-c:a", "flac", "-sample_fmt", "s32", "-ar", "96000"], input: { seconds: 2, rate: 96000, channels: 2 }, codec: "flac", rate: 96000 },
  { name: "mono.flac", type: "audio/flac", options: ["-c:a", "flac"], input: { seconds: 2, rate: 22050, channels: 1 }, codec: "flac", rate: 22050, channels: 1 },
  { name: "surround.flac", type: "audio/flac", options: ["-c:a", "flac", "-ac", "6"], input: { seconds: 1, rate: 48000, channels: 2 }, codec: "flac", rate: 48000, channels: 6 },
  { name: "cbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "128k"], codec: "mp3", rate: 44100 },
  { name: "vbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-q:a", "2", "-id3v2_version", "3"], codec: "mp3", rate: 44100 },
  { name: "bare.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "320k", "-write_xing", "0", "-id3v2_version", "0"], codec: "mp3", rate: 44100 },
  { name: "tagged.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "64k", "-write_id3v1", "1", "-metadata", "title=x"], codec: "mp3", rate: 44100 },
  { name: "low.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "24k"], input: { seconds: 2, rate: 16000, channels: 1 }, codec: "mp3", rate: 16000, channels: 1 },
  { name: "48k.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "192k"], input: { seconds: 2, rate: 48000, channels: 2 }, codec: "mp3", rate: 48000 },
  { name: "layer2.mp2", type: "audio/mpeg", options: ["-c:a", "mp2", "-b:a", "192k"], codec: "mp2", rate: 44100 },
  { name: "plain.aac", type: "audio/aac", options: ["-c:a", "aac", "-b:a", "128k", "-f", "adts"], codec: "mp4a.40.2", rate: 44100 },
  { name: "opus.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "96k"], codec: "opus", rate: 48000 },
  { name: "speech.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "16k", "-frame_duration", "60"], input: { seconds: 2, rate: 48000, channels: 1 }, codec: "opus", rate: 48000, channels: 1 },
  { name: "vorbis.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "5"], codec: "vorbis", rate: 44100 },
  { name: "quiet.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "0"], input: { seconds: 1, rate: 22050, channels: 1 }, codec: "vorbis", rate: 22050, channels: 1 },
  { name: "flac.oga", type: "audio/ogg", options: ["-c:a", "flac"], codec: "flac", rate: 44100 },
  { name: "front.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"], codec: "mp4a.40.2", rate: 44100, heard: 66150 },
  { name: "back.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-b:a", "96k"], input: { seconds: 1.7, rate: 48000, channels: 2 }, codec: "mp4a.40.2", rate: 48000, heard: 81600 },
  { name: "fragments.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "400000"], codec: "mp4a.40.2", rate: 44100, heard: 67174 },
  { name: "indexed.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-movflags", "+dash", "-frag_duration", "400000"], codec: "mp4a.40.2", rate: 44100, heard: 67174 },
  { name: "alac.m4a", type: "audio/mp4", options: ["-c:a", "alac"], codec: "alac", rate: 44100 },
  { name: "flac.mp4", type: "audio/mp4", options: ["-c:a", "flac", "-strict", "-2"], codec: "flac", rate: 44100 },
  { name: "opus.mp4", type: "audio/mp4", options: ["-c:a", "libopus"], codec: "opus", rate: 48000, heard: 72000 },
  { name: "mp3.mp4", type: "audio/mp4", options: ["-c:a", "libmp3lame"], codec: "mp3", rate: 44100, heard: 66150 },
  { name: "cd.wav", type: "audio/wav", options: ["-c:a", "pcm_s16le"], codec: "pcm-s16", rate: 44100 },
  { name: "high.wav", type: "audio/wav", options: ["-c:a", "pcm_s24le"], input: { seconds: 1, rate: 96000, channels: 2 }, codec: "pcm-s24", rate: 96000 },
  { name: "float.wav", type: "audio/wav", options: ["-c:a", "pcm_f32le", "-rf64", "always"], input: { seconds: 1, rate: 48000, channels: 2 }, codec: "pcm-f32", rate: 48000 },
  { name: "old.wav", type: "audio/wav", options: ["-c:a", "pcm_u8"], input: { seconds: 1, rate: 22050, channels: 1 }, codec: "pcm-u8", rate: 22050, channels: 1 },
  { name: "cd.aiff", type: "audio/aiff", options: ["-c:a", "pcm_s16be"], codec: "pcm-s16", rate: 44100 },
  { name: "high.aiff", type: "audio/aiff", options: ["-c:a", "pcm_s24be"], input: { seconds: 1, rate: 88200, channels: 2 }, codec: "pcm-s24", rate: 88200 },
  { name: "little.aifc", type: "audio/aiff", options: ["-c:a", "pcm_s16le", "-f", "aiff"], codec: "pcm-s16", rate: 44100 },
];

const bench = new Bench(cases);
beforeAll(() => bench.make());
afterAll(() => bench.close());

describe.each(cases)("$name", ({ name, type, codec, rate, channels = 2, ...only }) => {
  let bytes: Uint8Array;
  let pcm: Float32Array;
  let length: number;
  let packets: Packet[];
  let info: Demuxed;
  beforeAll(() => {
    bytes = bench.bytes(name);
    pcm = bench.decoded(name);
    length = only.heard ?? pcm.length / channels;
    ({ packets, info } = whole(type, bytes));
  });

  it("gives the packets that ffprobe gives, at their times", () => {
    expect(info).toMatchObject({ codec, sampleRate: rate, channels });
    // Samples without compression have no packets of their own: they are compared as samples, below.
    if (!codec.startsWith("pcm-")) expect(packets.map((p) => md5(p.data))).toEqual(bench.packets(name));
    let sample = 0 - info.trimStart;
    for (const p of packets) {
      expect(sampleOf(p, rate)).toBe(sample);
      sample += p.samples;
    }
  });

  it("keeps as many samples as there were", () => {
    expect(heard(packets, rate)).toBe(length);
    if (info.durationSamples !== undefined) expect(info.durationSamples).toBe(length);
  });

  it("hands out samples without compression as they are", () => {
    if (!codec.startsWith("pcm-")) return;
    const got = numbersOf(codec, packets);
    expect(got.length).toBe(pcm.length);
    expect(got.findIndex((v, i) => v !== pcm[i])).toBe(-1);
  });

  it("does not mind how the bytes are cut up", () => {
    const random = seeded(bytes.length);
    // Single bytes where the headers are, and in the middle of something.
    let pushed = 0;
    const tests: (() => number)[] = [
      () => (++pushed % 6000 < 3000 ? 1 : 30_000),
      () => bytes.length,
      () => (++pushed % 2000 < 1000 ? random() * 40 : 20_000),
      () => 10 ** (1 + random() * 4),
    ];
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
    const lengthMs = (length / rate) * 1000;
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
    for (let round = 0; round < 24; round++) {
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
