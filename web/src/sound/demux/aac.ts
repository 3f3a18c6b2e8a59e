import { aacChannels, aacRates } from "./adts";
import { Bits } from "./bytes";

/** What an AudioSpecificConfig says of the decoder's output. */
export interface AudioConfig {
  /** MPEG-4 audio object type: 2 AAC-LC, 5 with spectral band replication, 29 with parametric stereo too, 42 xHE-AAC. */
  object: number;
  sampleRate: number;
  channels: number;
}

/** AudioSpecificConfig (ISO 14496-3, 1.6.2.1), with the replication that older encoders announce behind it (1.6.5.2). */
export function audioConfig(b: Uint8Array): AudioConfig | undefined {
  const r = new Bits(b);
  const objectType = (): number => {
    const v = r.read(5);
    return v === 31 ? 32 + r.read(6) : v;
  };
  const rate = (): number => {
    const i = r.read(4);
    return i === 15 ? r.read(24) : (aacRates[i] ?? 0);
  };
  const object = objectType();
  const core = rate();
  const channels = aacChannels[r.read(4)] ?? 0;
  const found = (type: number, sampleRate: number): AudioConfig | undefined =>
    sampleRate === 0 || r.over ? undefined : { object: type, sampleRate, channels: type === 29 ? 2 : channels };
  if (object === 5 || object === 29) return found(object, rate());
  // GASpecificConfig: frameLengthFlag, dependsOnCoreCoder, extensionFlag.
  if (object === 2 && b.length * 8 - r.position >= 3 + 11 + 5 + 1 + 4) {
    r.read(1);
    if (r.read(1) === 1) r.read(14);
    r.read(1);
    if (r.read(11) === 0x2b7 && objectType() === 5 && r.read(1) === 1) {
      const sampleRate = rate();
      const stereo = b.length * 8 - r.position >= 12 && r.read(11) === 0x548 && r.read(1) === 1;
      return found(stereo ? 29 : 5, sampleRate);
    }
    return { object, sampleRate: core, channels };
  }
  return found(object, core);
}
