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
 * What a decoder gave, as planes. Its own conversion is left aside: browsers scale positive and negative samples by
 * different factors, which is inaudible and yet not what is in the file.
 */
export function planesOf(data: AudioData): Float32Array[] {
  const { numberOfChannels: channels, numberOfFrames: frames, format } = data;
  if (format === null) return [];
  const out = Array.from({ length: channels }, () => new Float32Array(frames));
  if (planar(format)) {
    out.forEach((plane, planeIndex) => {
      if (format === "f32-planar") {
        data.copyTo(plane, { planeIndex });
        return;
      }
      const bytes = new ArrayBuffer(data.allocationSize({ planeIndex }));
      data.copyTo(bytes, { planeIndex });
      const { samples, scale, zero } = typed(format, bytes);
      for (let i = 0; i < frames; i++) plane[i] = ((samples[i] ?? 0) - zero) * scale;
    });
    return out;
  }
  const bytes = new ArrayBuffer(data.allocationSize({ planeIndex: 0 }));
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

/** What a packet of PCM holds, as planes. */
export function planesOfPcm(codec: string, data: Uint8Array, channels: number): Float32Array[] {
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
  return Array.from({ length: channels }, (_, c) => {
    const plane = new Float32Array(frames);
    for (let i = 0; i < frames; i++) plane[i] = sample((i * channels + c) * size);
    return plane;
  });
}
