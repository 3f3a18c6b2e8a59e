// What ffmpeg makes and says, for the tests to compare with. Not part of the page.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ffmpeg = (args: string[]) => execFileSync("ffmpeg", ["-hide_banner", "-loglevel", "error", "-nostdin", "-y", ...args]);

export const md5 = (b: Uint8Array): string => createHash("md5").update(b).digest("hex");

export interface Music {
  seconds: number;
  rate: number;
  channels: number;
}

/** A generator with a seed (xorshift32), so that a failure can be repeated. It gives numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Tones that rise, a beat and noise, so that no codec finds it easy and no two stretches are alike: interleaved. */
export function music({ seconds, rate, channels }: Music): Float32Array {
  const random = seeded(rate + channels);
  return Float32Array.from({ length: Math.round(seconds * rate) * channels }, (_, i) => {
    const c = i % channels;
    const t = Math.floor(i / channels) / rate;
    const beat = 0.37 - 0.07 * c;
    const tone = 0.3 * Math.sin(2 * Math.PI * (220 + 110 * c + (40 - 9 * c) * t) * t);
    return tone + 0.2 * Math.sin(2 * Math.PI * (3301 - 1098 * c) * t) * Math.exp(-8 * (t % beat)) + 0.1 * (random() - 0.5);
  });
}

export interface Made {
  name: string;
  /** ffmpeg's options for the output. */
  options: string[];
  input?: Music;
  /** Which of ffmpeg's decoders is the reference, where it has several. */
  decoder?: string;
}

export const usual: Music = { seconds: 1.5, rate: 44100, channels: 2 };

/** A folder of files that ffmpeg made, all in one run since starting it takes longest; removed by close. */
export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), "tutti-demux-"));

  constructor(private readonly files: readonly Made[]) {}

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Encodes everything, and decodes it. */
  make(): void {
    const inputs: string[] = [];
    const known = new Map<string, number>();
    const outputs = this.files.flatMap(({ name, options, input = usual }) => {
      const source = `${input.seconds}-${input.rate}-${input.channels}.f32`;
      if (!known.has(source)) {
        writeFileSync(this.path(source), Buffer.from(music(input).buffer));
        inputs.push("-f", "f32le", "-ar", `${input.rate}`, "-ac", `${input.channels}`, "-i", this.path(source));
        known.set(source, known.size);
      }
      return ["-map", `${known.get(source) ?? 0}:a`, "-map_metadata", "-1", ...options, this.path(name)];
    });
    ffmpeg([...inputs, ...outputs]);
    ffmpeg([
      ...this.files.flatMap(({ name, decoder }) => [...(decoder === undefined ? [] : ["-c:a", decoder]), "-i", this.path(name)]),
      ...this.files.flatMap(({ name }, i) => ["-map", `${i}:a:0`, "-f", "f32le", this.path(`${name}.decoded`)]),
    ]);
  }

  bytes(name: string): Uint8Array {
    return new Uint8Array(readFileSync(this.path(name)));
  }

  /** What ffmpeg decodes a file to: interleaved. */
  decoded(name: string): Float32Array {
    return new Float32Array(this.bytes(`${name}.decoded`).buffer);
  }

  /** The MD5 of each packet of a file's first audio stream, as ffprobe takes it apart. */
  packets(name: string): string[] {
    const args = ["-v", "error", "-select_streams", "a:0", "-show_entries", "packet=data_hash", "-show_data_hash", "md5", "-of", "csv=p=0"];
    const said = execFileSync("ffprobe", [...args, this.path(name)], { maxBuffer: 1 << 28 }).toString();
    return [...said.matchAll(/MD5:([0-9a-f]{32})/gi)].map((m) => (m[1] ?? "").toLowerCase());
  }

  close(): void {
    rmSync(this.dir, { recursive: true });
  }
}
