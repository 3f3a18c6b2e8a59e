// What ffmpeg makes and says, for the tests to compare with. Not part of the page.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const quiet = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y"];

/** A stereo mix with tones, noise and a beat, so that no codec finds it easy and no two stretches are alike. */
export const music = (seconds: number, rate: number, channels = 2): string[] => {
  const left = "0.3*sin(2*PI*(220+40*t)*t)+0.2*sin(2*PI*3301*t)*exp(-8*mod(t,0.37))+0.1*(random(0)-0.5)";
  const right = "0.3*sin(2*PI*(330+30*t)*t)+0.2*sin(2*PI*2203*t)*exp(-6*mod(t,0.29))+0.1*(random(1)-0.5)";
  return ["-f", "lavfi", "-i", `aevalsrc='${[left, right].slice(0, channels).join("|")}':s=${rate}:d=${seconds}`];
};

export interface ReferencePacket {
  pts: number;
  size: number;
  hash: string;
}

/** A folder of files that ffmpeg made, removed by close. */
export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), "tutti-demux-"));

  /** Encodes the music; options are ffmpeg's for the output. */
  make(name: string, options: string[], input: string[] = music(1.5, 44100)): string {
    const file = join(this.dir, name);
    execFileSync("ffmpeg", [...quiet, ...input, "-map_metadata", "-1", ...options, file]);
    return file;
  }

  close(): void {
    rmSync(this.dir, { recursive: true });
  }
}

export const bytesOf = (file: string): Uint8Array => new Uint8Array(readFileSync(file));

/** The packets of a file's first audio stream, each with the MD5 of its data. */
export function packetsOf(file: string): ReferencePacket[] {
  const args = ["-v", "error", "-select_streams", "a:0", "-show_packets", "-show_data_hash", "md5", "-of", "json", file];
  const { packets } = JSON.parse(execFileSync("ffprobe", args, { maxBuffer: 1 << 28 }).toString()) as {
    packets: { pts: number; size: string; data_hash: string }[];
  };
  return packets.map((p) => ({ pts: p.pts, size: Number(p.size), hash: p.data_hash.replace(/^MD5:/i, "").toLowerCase() }));
}

/** What ffmpeg decodes a file to: interleaved floats. */
export function decoded(file: string): Float32Array {
  const out = execFileSync("ffmpeg", [...quiet, "-i", file, "-map", "0:a:0", "-f", "f32le", "-"], { maxBuffer: 1 << 30 });
  return new Float32Array(out.buffer.slice(out.byteOffset, out.byteOffset + out.byteLength));
}
