// Takes apart and decodes, in the browser's own decoders, what ffmpeg made, and compares with what ffmpeg decodes it to.
import { build } from "vite";
import { Bench, type Made, music, type Music, usual } from "../src/sound/demux/reference";
import { expect, test } from "./fixtures";

interface Case extends Made {
  type: string;
  /** The same numbers; otherwise a lossy decoder may round in its own way, by no more than this. */
  within: number;
  /** What may be left of that after a seek, where a decoder remembers for long. */
  afterSeek?: number;
}

const high: Music = { seconds: 1, rate: 96000, channels: 2 };
const studio: Music = { seconds: 1.7, rate: 48000, channels: 2 };
const mono: Music = { seconds: 1.3, rate: 32000, channels: 1 };

const cases: Case[] = [
  { name: "cd.flac", type: "audio/flac", options: ["-c:a", "flac"], within: 0 },
  { name: "high.flac", type: "audio/flac", options: ["-c:a", "flac", "-sample_fmt", "s32"], input: high, within: 0 },
  { name: "flac.oga", type: "audio/ogg", options: ["-c:a", "flac"], within: 0 },
  { name: "flac.mp4", type: "audio/mp4", options: ["-c:a", "flac", "-strict", "-2"], within: 0 },
  { name: "cbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "128k"], within: 1e-4 },
  { name: "vbr.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-q:a", "2"], input: studio, within: 1e-4 },
  { name: "mono.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "64k"], input: mono, within: 1e-4 },
  { name: "low.mp3", type: "audio/mpeg", options: ["-c:a", "libmp3lame", "-b:a", "24k"], input: { seconds: 2, rate: 16000, channels: 1 }, within: 1e-4 },
  { name: "opus.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "96k"], decoder: "libopus", input: studio, within: 1e-4 },
  { name: "speech.opus", type: "audio/ogg", options: ["-c:a", "libopus", "-b:a", "24k", "-frame_duration", "60"], decoder: "libopus", afterSeek: 0.01, input: { ...studio, channels: 1 }, within: 1e-4 },
  { name: "opus.mp4", type: "audio/mp4", options: ["-c:a", "libopus"], decoder: "libopus", input: studio, within: 1e-4 },
  { name: "vorbis.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "5"], within: 1e-4 },
  { name: "mono.ogg", type: "audio/ogg", options: ["-c:a", "libvorbis", "-q:a", "1"], input: mono, within: 1e-4 },
  { name: "front.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-b:a", "128k", "-aac_pns", "0", "-movflags", "+faststart"], within: 1e-4 },
  { name: "back.m4a", type: "audio/mp4", options: ["-c:a", "aac", "-b:a", "96k", "-aac_pns", "0"], input: studio, within: 1e-4 },
  { name: "plain.aac", type: "audio/aac", options: ["-c:a", "aac", "-b:a", "128k", "-aac_pns", "0", "-f", "adts"], within: 1e-4 },
];

const bench = new Bench(cases);
let script = "";

test.beforeAll(async () => {
  bench.make();
  const entry = new URL("../src/sound/demux/index.ts", import.meta.url).pathname;
  const made = await build({ configFile: false, logLevel: "error", build: { write: false, minify: false, lib: { entry, formats: ["iife"], name: "demux" } } });
  const bundle = Array.isArray(made) ? made[0] : made;
  if (bundle === undefined || !("output" in bundle)) throw new Error("nothing was built");
  script = bundle.output[0].code;
});

test.afterAll(() => bench.close());

interface Found {
  heard: number;
  rate: number;
  channels: number;
  /** How many samples later than ffmpeg's the browser's best match lies. */
  lag: number;
  /** The largest difference to ffmpeg's decoding, over what both have. */
  off: number;
  /** The largest difference between what is decoded after a seek and what is decoded in order. */
  offAfterSeek: number;
  sought: number;
}

for (const { name, type, within, afterSeek = within, input = usual } of cases) {
  test(`${name} decodes to what ffmpeg decodes it to`, async ({ page, baseURL }) => {
    const at = new URL("/demuxed/", baseURL).href;
    await page.route(`${at}**`, (route) => {
      const path = new URL(route.request().url()).pathname.slice("/demuxed/".length);
      return path === ""
        ? route.fulfill({ contentType: "text/html", body: "<!doctype html><title>demuxed</title>" })
        : route.fulfill({ contentType: "application/octet-stream", body: Buffer.from(bench.bytes(path)) });
    });
    await page.goto(at);
    await page.addScriptTag({ content: script });
    const found = await page.evaluate(
      async ([file, contentType]): Promise<Found> => {
        const { openDemuxer } = (window as unknown as { demux: typeof import("../src/sound/demux") }).demux;
        const get = async (path: string) => (await fetch(path)).arrayBuffer();
        const bytes = new Uint8Array(await get(file));
        const reference = new Float32Array(await get(`${file}.decoded`));
        const demuxer = openDemuxer(contentType, bytes.subarray(0, 16384));
        if (demuxer === undefined) throw new Error("not recognised");

        const read = (from: number) => {
          const packets = [];
          for (let i = from; i < bytes.length; ) {
            packets.push(...demuxer.push(bytes.subarray(i, i + 10000), i));
            i = demuxer.wants() ?? i + 10000;
          }
          packets.push(...demuxer.end());
          return packets;
        };

        /** What is to be heard from a time on, by the rule that Packet states. */
        const decode = async (packets: ReturnType<typeof read>, fromMs: number) => {
          const info = demuxer.info();
          if (info === undefined) throw new Error("no headers");
          const { codec, sampleRate, channels, description } = info;
          const pieces: Float32Array[][] = [];
          let failed: Error | undefined;
          const decoder = new AudioDecoder({
            output: (data) => {
              const planes = Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
                const plane = new Float32Array(data.numberOfFrames);
                data.copyTo(plane, { planeIndex, format: "f32-planar" });
                return plane;
              });
              pieces.push(planes);
              data.close();
            },
            error: (e) => (failed = e),
          });
          decoder.configure({ codec, sampleRate, numberOfChannels: channels, ...(description === undefined ? {} : { description }) });
          for (const { data, timestampUs } of packets) decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: timestampUs, data }));
          await decoder.flush();
          if (failed !== undefined) throw failed;
          const sampleOf = (us: number) => Math.round((us * sampleRate) / 1e6);
          const first = sampleOf(packets[0]?.timestampUs ?? 0);
          const until = Math.max(...packets.map((p) => sampleOf(p.timestampUs) + p.samples));
          const from = Math.max(0, Math.round((fromMs * sampleRate) / 1000));
          const out = Array.from({ length: channels }, () => new Float32Array(Math.max(0, until - from)));
          let here = first;
          for (const planes of pieces) {
            const frames = planes[0]?.length ?? 0;
            for (let i = Math.max(0, from - here); i < Math.min(frames, until - here); i++) {
              for (let c = 0; c < channels; c++) (out[c] as Float32Array)[here + i - from] = planes[c]?.[i] ?? NaN;
            }
            here += frames;
          }
          return { out, decodedTo: here, until, info };
        };

        const { out, decodedTo, until, info } = await decode(read(0), 0);
        if (decodedTo < until) throw new Error(`the decoder gave ${until - decodedTo} samples too few`);
        const { channels, sampleRate } = info;
        const there = Math.min(out[0]?.length ?? 0, reference.length / channels);
        const mine = (i: number, c: number) => out[c]?.[i] ?? NaN;
        const theirs = (i: number, c: number) => reference[i * channels + c] ?? NaN;
        let off = 0;
        for (let i = 0; i < there; i++) for (let c = 0; c < channels; c++) off = Math.max(off, Math.abs(mine(i, c) - theirs(i, c)));
        let lag = 0;
        let most = -Infinity;
        for (let l = -2500; l <= 2500; l++) {
          let sum = 0;
          for (let i = 5000; i < 15000; i++) sum += mine(i + l, 0) * theirs(i, 0);
          if (sum > most) [most, lag] = [sum, l];
        }

        const soughtMs = 700;
        const { offset, reset } = demuxer.seek(soughtMs, bytes.length);
        reset();
        const again = await decode(read(offset), soughtMs);
        const skipped = Math.round((soughtMs * sampleRate) / 1000);
        let offAfterSeek = 0;
        for (let c = 0; c < channels; c++) again.out[c]?.forEach((v, i) => (offAfterSeek = Math.max(offAfterSeek, Math.abs(v - mine(i + skipped, c)))));
        return { heard: out[0]?.length ?? 0, rate: sampleRate, channels, lag, off, offAfterSeek, sought: again.out[0]?.length ?? 0 };
      },
      [name, type] as const,
    );
    test.info().annotations.push({ type: "found", description: JSON.stringify(found) });

    const samples = music(input).length / input.channels;
    // Without a container there is nowhere to say how much of the first and last frame is music.
    if (name !== "plain.aac") expect(found.heard).toBe(samples);
    expect(found).toMatchObject({ rate: input.rate, channels: input.channels, lag: 0 });
    expect(found.off).toBeLessThanOrEqual(within);
    expect(found.sought).toBe(found.heard - Math.round((700 * input.rate) / 1000));
    expect(found.offAfterSeek).toBeLessThanOrEqual(afterSeek);
  });
}
