// What ffmpeg does not make by itself: joined and damaged files, tags of other programs, long ways to seek.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { audioConfig } from "./aac";
import { type Demuxer, openDemuxer, type Packet } from "./index";
import { mpegHeader } from "./mp3";
import { Bench, md5, type Music } from "./reference";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const long: Music = { seconds: 90, rate: 24000, channels: 1 };
const bench = new Bench([
  { name: "cd.flac", options: ["-c:a", "flac"] },
  { name: "back.m4a", options: ["-c:a", "aac"] },
  { name: "one.ogg", options: ["-c:a", "libvorbis"] },
  { name: "two.ogg", options: ["-c:a", "libvorbis", "-q:a", "1"], input: { seconds: 1.2, rate: 22050, channels: 1 } },
  { name: "three.opus", options: ["-c:a", "libopus"] },
  { name: "bare.mp3", options: ["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"] },
  { name: "long.flac", options: ["-c:a", "flac"], input: long },
  { name: "long.opus", options: ["-c:a", "libopus", "-b:a", "96k"], input: long },
  { name: "long.ogg", options: ["-c:a", "libvorbis"], input: long },
  { name: "long.m4a", options: ["-c:a", "aac"], input: long },
  { name: "long.wav", options: ["-c:a", "pcm_s16le"], input: long },
  { name: "cbr.mp3", options: ["-c:a", "libmp3lame", "-b:a", "64k"], input: long },
  { name: "vbr.mp3", options: ["-c:a", "libmp3lame", "-q:a", "5"], input: long },
]);
beforeAll(() => bench.make());
afterAll(() => bench.close());

function open(file: Uint8Array): Demuxer {
  const d = openDemuxer("", file.subarray(0, 16384));
  if (d === undefined) throw new Error("not recognised");
  return d;
}

interface Reading {
  packets: Packet[];
  /** Where it was sent. */
  jumps: number[];
  /** Bytes that were fetched before the first packet came. */
  vain: number;
}

/** Reads on from a place, in ranges, until the end or until there is a packet. */
function read(d: Demuxer, file: Uint8Array, from = 0, toFirst = false): Reading {
  const got: Reading = { packets: [], jumps: [], vain: 0 };
  let at = from;
  for (let ended = false; !ended; ) {
    if (at >= file.length) {
      got.packets.push(...d.end());
      ended = d.wants() === undefined;
    } else {
      got.packets.push(...d.push(file.subarray(at, at + 16384), at));
      at += 16384;
      if (got.packets.length === 0) got.vain += 16384;
      ended = toFirst && got.packets.length > 0;
    }
    const next = d.wants();
    if (next === undefined) continue;
    got.jumps.push(next);
    at = next;
    if (got.jumps.length > 20) throw new Error("to and fro");
  }
  return got;
}

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const be = (v: number): Uint8Array => Uint8Array.of(v >>> 24, v >>> 16, v >>> 8, v);
const box = (type: string, ...body: Uint8Array[]): Uint8Array => {
  const inner = join(...body);
  return join(be(inner.length + 8), text(type), inner);
};
const data = (packets: Packet[]): string[] => packets.map((p) => md5(p.data));

describe("a place far ahead", () => {
  const targets = [75_000, 20_000, 88_500];

  it.each(["long.flac", "long.opus", "long.ogg", "long.m4a", "long.wav", "cbr.mp3"])("is found in %s without reading all that lies before", (name) => {
    const file = bench.bytes(name);
    const all = read(open(file), file).packets;
    const d = open(file);
    read(d, file, 0, true);
    if (name === "long.m4a") read(d, file, d.wants() ?? 0, true);
    for (const ms of targets) {
      const { offset, reset } = d.seek(ms, file.length);
      reset();
      const { packets, jumps, vain } = read(d, file, offset, true);
      expect(jumps.length).toBeLessThanOrEqual(6);
      expect(vain).toBeLessThan(300_000);
      const first = packets[0] as Packet;
      expect(first.timestampUs).toBeLessThanOrEqual(ms * 1000);
      expect(first.timestampUs).toBeGreaterThan(ms * 1000 - 1_200_000);
      // Vorbis begins with a packet that only prepares the decoder.
      const sure = packets.find((p) => p.samples > 0);
      if (sure !== undefined) expect(all.some((p) => p.timestampUs === sure.timestampUs && Buffer.compare(p.data, sure.data) === 0)).toBe(true);
    }
  });

  it("is estimated in mp3 of a varying bit rate, and the end is cut as when read in order", () => {
    const file = bench.bytes("vbr.mp3");
    const all = read(open(file), file).packets;
    const d = open(file);
    read(d, file, 0, true);
    const { offset, reset } = d.seek(60_000, file.length);
    reset();
    const { packets } = read(d, file, offset);
    const real = all.find((p) => Buffer.compare(p.data, packets[0]?.data ?? new Uint8Array()) === 0);
    expect(Math.abs((real?.timestampUs ?? 0) - 60e6)).toBeLessThan(1.8e6);
    expect(packets[packets.length - 1]?.samples).toBe(all[all.length - 1]?.samples);
    expect(data(packets)).toEqual(data(all.slice(-packets.length)));
  });
});

describe("ogg", () => {
  it("goes on where a stream follows another in the same file", () => {
    const parts = ["one.ogg", "two.ogg", "three.opus"].map((name) => bench.bytes(name));
    const apart = parts.map((part) => read(open(part), part).packets);
    const file = join(...parts);
    const d = open(file);
    const { packets } = read(d, file);
    expect(data(packets)).toEqual(data(apart.flat()));
    const configured = packets.flatMap((p, i) => (p.config === undefined ? [] : [[i, p.config.codec, p.config.sampleRate, p.config.channels]]));
    expect(configured).toEqual([
      [apart[0]?.length, "vorbis", 22050, 1],
      [(apart[0]?.length ?? 0) + (apart[1]?.length ?? 0), "opus", 48000, 2],
    ]);
    // The first lasts 1.5 s, so the second begins there; its first packet gives nothing yet.
    expect(packets[apart[0]?.length ?? 0]).toMatchObject({ timestampUs: 1_500_000, samples: 0 });
    expect(packets[packets.length - 1]?.timestampUs).toBe(2_700_000 + (apart[2]?.[apart[2].length - 1]?.timestampUs ?? 0));

    for (const ms of [2000, 300, 3000, 1600]) {
      const { offset, reset } = d.seek(ms, file.length);
      reset();
      const again = read(d, file, offset).packets;
      const sure = again.findIndex((p) => p.samples > 0 && p.timestampUs + 1000 >= ms * 1000);
      const same = packets.findIndex((p) => p.timestampUs === again[sure]?.timestampUs && p.samples > 0);
      expect(data(again.slice(sure))).toEqual(data(packets.slice(same)));
    }
  });

  it("leaves out a page that is damaged, and keeps the times of what follows", () => {
    const file = bench.bytes("long.ogg");
    const all = read(open(file), file).packets;
    const broken = file.slice();
    for (let i = 0; i < 50; i++) broken[200_000 + i] = 0;
    const packets = read(open(broken), broken).packets;
    expect(packets.length).toBeLessThan(all.length);
    expect(packets.length).toBeGreaterThan(all.length * 0.9);
    expect(packets[packets.length - 1]).toEqual(all[all.length - 1]);
  });
});

describe("flac", () => {
  it("puts silence in the place of a damaged frame", () => {
    const file = bench.bytes("cd.flac");
    const all = read(open(file), file).packets;
    const broken = file.slice();
    const at = Buffer.from(file).indexOf(all[5]?.data ?? "") + 900;
    broken[at] = (broken[at] ?? 0) ^ 0x55;
    const packets = read(open(broken), broken).packets;
    expect(packets.map((p) => [p.timestampUs, p.samples])).toEqual(all.map((p) => [p.timestampUs, p.samples]));
    expect(packets.filter((p, i) => Buffer.compare(p.data, all[i]?.data ?? new Uint8Array()) !== 0)).toHaveLength(1);
    expect(packets[5]?.data.length).toBeLessThan(20);
    // It is a frame: its own demuxer takes it for one.
    const alone = join(file.subarray(0, Buffer.from(file).indexOf(all[0]?.data ?? "")), packets[5]?.data ?? new Uint8Array());
    expect(data(read(open(alone), alone).packets)).toEqual(data(packets.slice(5, 6)));
  });

  it("asks for what lies behind a large picture", () => {
    const file = bench.bytes("cd.flac");
    const picture = join(Uint8Array.of(6, 0x0f, 0x42, 0x40), new Uint8Array(1_000_000));
    const pictured = join(file.subarray(0, 42), picture, file.subarray(42));
    const { packets, jumps } = read(open(pictured), pictured);
    expect(jumps).toEqual([42 + picture.length]);
    expect(data(packets)).toEqual(data(read(open(file), file).packets));
  });
});

describe("mp3", () => {
  it("asks for what lies behind a large tag, and finds the same for flac", () => {
    const tag = join(text("ID3"), Uint8Array.of(3, 0, 0, 0, 0x3d, 0x09, 0x00), new Uint8Array(1_000_576).fill(0xff));
    for (const name of ["bare.mp3", "cd.flac"]) {
      const file = bench.bytes(name);
      const tagged = join(tag, file);
      const { packets, jumps } = read(open(tagged), tagged);
      expect(jumps).toEqual([tag.length]);
      expect(data(packets)).toEqual(data(read(open(file), file).packets));
    }
  });

  it("passes over the tags at the end", () => {
    const file = bench.bytes("bare.mp3");
    const ape = join(text("APETAGEX"), Uint8Array.of(0xd0, 7, 0, 0, 64, 0, 0, 0), new Uint8Array(80), text("TAG"), new Uint8Array(125));
    const tagged = join(file, ape);
    expect(data(read(open(tagged), tagged).packets)).toEqual(data(read(open(file), file).packets));
  });

  it("takes Fraunhofer's first frame for what it is", () => {
    const file = bench.bytes("bare.mp3");
    const all = read(open(file), file).packets;
    const vbri = new Uint8Array(417);
    vbri.set(file.subarray(0, 4));
    vbri.set([0xff, 0xfb, 0x90, 0x00]);
    vbri.set(join(text("VBRI"), Uint8Array.of(0, 1, 0, 0, 0, 75), be(file.length), be(all.length), Uint8Array.of(0, 1, 0, 1, 0, 2, 0, all.length, 0x60, 0)), 36);
    const d = open(join(vbri, file));
    const { packets } = read(d, join(vbri, file));
    expect(data(packets)).toEqual(data(all));
    expect(d.info()?.durationSamples).toBe(all.length * 1152);
  });

  it("measures frames of free format", () => {
    const file = bench.bytes("bare.mp3");
    const all = read(open(file), file).packets;
    const free = file.slice();
    for (let i = 0; i < free.length; ) {
      const length = mpegHeader(file, i)?.length ?? file.length;
      free[i + 2] = (free[i + 2] ?? 0) & 0x0f;
      i += length;
    }
    const d = openDemuxer("audio/mpeg", free.subarray(0, 16384));
    const { packets } = read(d as Demuxer, free);
    expect(packets.map((p) => [p.timestampUs, p.data.length])).toEqual(all.map((p) => [p.timestampUs, p.data.length]));
  });
});

describe("mp4", () => {
  it("asks for the headers behind the sound, then for the sound", () => {
    const file = bench.bytes("back.m4a");
    const long = bench.bytes("long.m4a");
    const { jumps } = read(open(long), long);
    expect(jumps).toHaveLength(2);
    expect(Buffer.from(long.subarray((jumps[0] ?? 0) + 4, (jumps[0] ?? 0) + 8)).toString()).toBe("moov");
    expect(read(open(file), file).packets.length).toBeGreaterThan(60);
  });

  it("believes what iTunes says of gaps", () => {
    const file = Buffer.from(bench.bytes("back.m4a"));
    const moov = file.indexOf("moov") - 4;
    // Without its edit list, and with a delay, padding and length as iTunes writes them.
    file.write("free", file.indexOf("edts"));
    const says = " 00000000 00000840 000001CA 000000000000F000 00000000 00000000";
    const smpb = box("----", box("mean", be(0), text("com.apple.iTunes")), box("name", be(0), text("iTunSMPB")), box("data", be(1), be(0), text(says)));
    const udta = box("udta", box("meta", be(0), box("hdlr", new Uint8Array(25)), box("ilst", smpb)));
    file.writeUInt32BE(file.length - moov + udta.length, moov);
    const whole = join(file, udta);
    const d = open(whole);
    const { packets } = read(d, whole);
    expect(d.info()).toMatchObject({ trimStart: 0x840, durationSamples: 0xf000 });
    expect(packets[0]?.timestampUs).toBe(Math.round((-0x840 * 1e6) / 44100));
    const last = packets[packets.length - 1] as Packet;
    expect(Math.round((last.timestampUs * 44100) / 1e6) + last.samples).toBe(0xf000);
  });

  it("reads the configurations of AAC", () => {
    const of = (hex: string) => audioConfig(Buffer.from(hex, "hex"));
    expect(of("1210")).toEqual({ object: 2, sampleRate: 44100, channels: 2 });
    expect(of("2b920800")).toEqual({ object: 5, sampleRate: 44100, channels: 2 });
    expect(of("eb8a0800")).toEqual({ object: 29, sampleRate: 44100, channels: 2 });
    expect(of("139056e5a0")).toEqual({ object: 5, sampleRate: 44100, channels: 2 });
    expect(of("12")).toBeUndefined();
  });
});
