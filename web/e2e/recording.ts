import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** 16-bit stereo, interleaved. */
export interface Recording {
  readonly rate: number;
  readonly samples: Int16Array;
}

/**
 * One recording without a pause in it: a sweep through four octaves under noise, so that no place in it is like another
 * and a sample too many or too few shows. The noise comes from a generator with a seed (xorshift32).
 */
export function record(rate: number, seconds: number): Recording {
  const frames = Math.round(rate * seconds);
  const samples = new Int16Array(frames * 2);
  let x = 2463534242;
  let [low, low2] = [0, 0];
  for (let i = 0; i < frames; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    const noise = (x >>> 0) / 2 ** 31 - 1;
    low += 0.2 * (noise - low); // most of it where lossy codecs keep it
    low2 += 0.05 * (noise - low2);
    const t = i / rate;
    const sweep = Math.sin(2 * Math.PI * 200 * ((2 ** (4 * (t / seconds)) - 1) / ((4 * Math.LN2) / seconds)));
    samples[2 * i] = Math.round(9000 * sweep + 9000 * low) || 1;
    samples[2 * i + 1] = Math.round(6000 * sweep + 14000 * low2) || 1;
  }
  return { rate, samples };
}

const codecs: Record<string, string[]> = {
  flac: ["flac"],
  wav: ["pcm_s16le"],
  mp3: ["libmp3lame", "-b:a", "192k"],
  opus: ["libopus", "-b:a", "160k"],
  ogg: ["libvorbis", "-q:a", "6"],
  m4a: ["aac", "-b:a", "192k"],
  alac: ["alac"],
};

/** Writes a recording as an album whose tracks begin at the given frames, as a live album is cut. */
export async function cutAlbum(dir: string, name: string, format: string, rec: Recording, starts: readonly number[], more: string[] = []): Promise<void> {
  const folder = join(dir, name);
  await mkdir(folder, { recursive: true });
  for (const [i, from] of starts.entries()) {
    const to = starts[i + 1] ?? rec.samples.length / 2;
    const raw = join(folder, `${i + 1}.raw`);
    const part = rec.samples.subarray(from * 2, to * 2);
    await writeFile(raw, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    const [codec = "", ...options] = codecs[format] ?? [];
    await run("ffmpeg", [
      ...["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-f", "s16le", "-ar", String(rec.rate), "-ac", "2", "-i", raw, "-c:a", codec, ...options],
      ...["-metadata", `title=${name} ${i + 1}`, "-metadata", `album=${name}`, "-metadata", "artist=The Tape", "-metadata", "album_artist=The Tape", "-metadata", `track=${i + 1}`, ...more],
      join(folder, `${i + 1}.${format === "alac" ? "m4a" : format}`),
    ]);
    await run("rm", [raw]);
  }
}

/** By how many frames `heard` is late against `said`, looked for up to `most` either way, and how alike they are then (1 is the same). */
export function lag(heard: Float32Array, said: Float32Array, most: number): { frames: number; likeness: number } {
  let best = { frames: 0, likeness: -1 };
  for (let d = -most; d <= most; d++) {
    let [sum, a, b] = [0, 0, 0];
    for (let i = most; i < Math.min(heard.length, said.length) - most; i++) {
      const h = heard[i + d] ?? 0;
      const s = said[i] ?? 0;
      sum += h * s;
      a += h * h;
      b += s * s;
    }
    const likeness = sum / Math.sqrt(a * b || 1);
    if (likeness > best.likeness) best = { frames: d, likeness };
  }
  return best;
}
