/** Decoded samples as the audio thread takes them: a plane of 32-bit floats for each channel. */

const planar = (format: AudioSampleFormat): boolean => format.endsWith("-planar");

/** A view of bytes as samples and what full scale is in it; powers of two, so that no bit of a sample is lost. */
function typed(format: AudioSampleFormat, bytes: ArrayBuffer): { samples: ArrayLike<number>; scale: number; zero: number } {
  switch (format.replace("-planar", "")) {
    case "u8":
      return { samples: new Uint8Array(bytes), scale: 1 / 128, zero: 128 };
    case "s16":
      return { samples: new Int16Array(bytes), scale: 1 / 32768, zero: 0 };
    case "s32":
      return { samples: new Int32Array(bytes), scale: 1 / 2147483648, zero: 0 };
    default:
      return { samples: new Float32Array(bytes), scale: 1, zero: 0 };
  }
}

/**
 * Memory for one decoded packet at a time, used again for the next: dozens a second would otherwise be thrown away, and
 * an audio thread and a worker are told late to collect what they threw away.
 */
export class Scratch {
  private planesHeld: Float32Array[] = [];
  private bytesHeld = new ArrayBuffer(0);

  /** As many planes of so many frames; what was there before is still in them. */
  planes(channels: number, frames: number): Float32Array[] {
    return Array.from({ length: channels }, (_, c) => {
      let plane = this.planesHeld[c];
      if (plane === undefined || plane.length < frames) this.planesHeld[c] = plane = new Float32Array(frames);
      return plane.subarray(0, frames);
    });
  }

  /** At least so many bytes. */
  bytes(n: number): ArrayBuffer {
    if (this.bytesHeld.byteLength < n) this.bytesHeld = new ArrayBuffer(n);
    return this.bytesHeld;
  }
}

/**
 * What a decoder gave, as planes that are good until the next packet that uses the same scratch memory. Its own
 * conversion is left aside: browsers scale positive and negative samples by different factors, which is inaudible and
 * yet not what is in the file.
 */
export function planesOf(data: AudioData, scratch = new Scratch()): Float32Array[] {
  const { numberOfChannels: channels, numberOfFrames: frames, format } = data;
  if (format === null) return [];
  const out = scratch.planes(channels, frames);
  if (planar(format)) {
    out.forEach((plane, planeIndex) => {
      if (format === "f32-planar") {
        data.copyTo(plane, { planeIndex });
        return;
      }
      const bytes = scratch.bytes(data.allocationSize({ planeIndex }));
      data.copyTo(bytes, { planeIndex });
      const { samples, scale, zero } = typed(format, bytes);
      for (let i = 0; i < frames; i++) plane[i] = ((samples[i] ?? 0) - zero) * scale;
    });
    return out;
  }
  const bytes = scratch.bytes(data.allocationSize({ planeIndex: 0 }));
  data.copyTo(bytes, { planeIndex: 0 });
  const { samples, scale, zero } = typed(format, bytes);
  out.forEach((plane, c) => {
    for (let i = 0, j = c; i < frames; i++, j += channels) plane[i] = ((samples[j] ?? 0) - zero) * scale;
  });
  return out;
}

/** Bytes a sample of the PCM codecs that need no decoder: little-endian, interleaved. */
const pcmBytes: Record<string, number> = { "pcm-u8": 1, "pcm-s16": 2, "pcm-s24": 3, "pcm-s32": 4, "pcm-f32": 4, "pcm-f64": 8 };

export const isPcm = (codec: string): boolean => codec in pcmBytes;

/** What a packet of PCM holds, as planes that are good until the next packet. */
export function planesOfPcm(codec: string, data: Uint8Array, channels: number, scratch = new Scratch()): Float32Array[] {
  const size = pcmBytes[codec] ?? 2;
  const frames = Math.floor(data.length / (size * channels));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const sample = (i: number): number => {
    switch (codec) {
      case "pcm-u8":
        return (view.getUint8(i) - 128) / 128;
      case "pcm-s16":
        return view.getInt16(i, true) / 32768;
      case "pcm-s24":
        return ((view.getInt8(i + 2) << 16) | view.getUint16(i, true)) / 8388608;
      case "pcm-s32":
        return view.getInt32(i, true) / 2147483648;
      case "pcm-f32":
        return view.getFloat32(i, true);
      default:
        return view.getFloat64(i, true);
    }
  };
  const out = scratch.planes(channels, frames);
  out.forEach((plane, c) => {
    for (let i = 0; i < frames; i++) plane[i] = sample((i * channels + c) * size);
  });
  return out;
}
