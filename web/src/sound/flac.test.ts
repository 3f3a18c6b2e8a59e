import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openDemuxer, type Packet } from "./demux";
import { Bench, type Made, seeded } from "./demux/reference";
import { FlacDecoder } from "./flac";
import { Scratch } from "./pcm";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const short = { seconds: 1, rate: 44_100, channels: 2 };
const files: Made[] = [
  { name: "usual.flac", options: ["-c:a", "flac"], input: short },
  { name: "fixed.flac", options: ["-c:a", "flac", "-lpc_type", "fixed"], input: short },
  { name: "cholesky.flac", options: ["-c:a", "flac", "-compression_level", "12", "-lpc_type", "cholesky", "-max_prediction_order", "32"], input: short },
  { name: "left.flac", options: ["-c:a", "flac", "-ch_mode", "left_side"], input: short },
  { name: "right.flac", options: ["-c:a", "flac", "-ch_mode", "right_side"], input: short },
  { name: "middle.flac", options: ["-c:a", "flac", "-ch_mode", "mid_side", "-frame_size", "192"], input: short },
  { name: "24.flac", options: ["-c:a", "flac", "-sample_fmt", "s32"], input: short },
  { name: "wasted.flac", options: ["-af", "aformat=s16,aformat=s32", "-c:a", "flac", "-sample_fmt", "s32"], input: short },
  { name: "noise.flac", options: ["-af", "aeval=random(0)*2-1|random(1)*2-1", "-c:a", "flac"], input: short },
  { name: "silence.flac", options: ["-af", "volume=0", "-c:a", "flac"], input: short },
  { name: "mono.flac", options: ["-c:a", "flac"], input: { seconds: 1, rate: 8_000, channels: 1 } },
  { name: "surround.flac", options: ["-c:a", "flac", "-ac", "8"], input: short },
];

describe("our own decoder of FLAC", () => {
  const bench = new Bench(files);
  beforeAll(() => bench.make());
  afterAll(() => bench.close());

  function open(name: string): { packets: Packet[]; decoder: FlacDecoder } {
    const bytes = bench.bytes(name);
    const demuxer = openDemuxer("audio/flac", bytes);
    const packets = [...(demuxer?.push(bytes) ?? []), ...(demuxer?.end() ?? [])];
    const description = demuxer?.info()?.description;
    if (description === undefined) throw new Error("no headers");
    return { packets, decoder: new FlacDecoder(description) };
  }

  it.each(files.map((f) => f.name))("decodes %s to the very samples", (name) => {
    const { packets, decoder } = open(name);
    const scratch = new Scratch();
    const got: number[] = [];
    for (const p of packets) {
      const planes = decoder.decode(p.data, scratch);
      const frames = planes[0]?.length ?? 0;
      for (let i = 0; i < frames; i++) for (const plane of planes) got.push(plane[i] as number);
    }
    const said = bench.decoded(name);
    expect(got.length).toBe(said.length);
    expect(Buffer.compare(Buffer.from(Float32Array.from(got).buffer), Buffer.from(said.buffer))).toBe(0);
  });

  it("refuses what is damaged, or makes something of it, and always ends", () => {
    const random = seeded(7);
    for (const name of ["cholesky.flac", "24.flac", "noise.flac"]) {
      const { packets, decoder } = open(name);
      const scratch = new Scratch();
      let refused = 0;
      for (let round = 0; round < 150; round++) {
        const data = (packets[Math.floor(random() * packets.length)] as Packet).data.slice();
        // The header's CRC would refuse it before anything else.
        for (let n = 0; n < 3; n++) data[16 + Math.floor(random() * (data.length - 16))] = Math.floor(random() * 256);
        try {
          decoder.decode(round % 2 === 0 ? data : data.subarray(0, Math.floor(random() * data.length)), scratch);
        } catch (cause) {
          if (!(cause instanceof RangeError)) throw cause;
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(50);
      expect(decoder.decode((packets[0] as Packet).data, scratch)[0]?.length).toBeGreaterThan(0);
    }
  });
});
