import { is, le32 } from "./bytes";

/** Reads bits, least significant first (Vorbis I, 2.1.4). Past the end come zeros, and `over` says so. */
class Bits {
  private i: number;
  constructor(
    private readonly b: Uint8Array,
    byte: number,
  ) {
    this.i = byte * 8;
  }

  get over(): boolean {
    return this.i > this.b.length * 8;
  }

  read(n: number): number {
    let v = 0;
    for (let k = 0; k < n; k++, this.i++) v += (((this.b[this.i >> 3] ?? 0) >> (this.i & 7)) & 1) * 2 ** k;
    return v;
  }

  skip(n: number): void {
    this.i += n;
  }
}

/** How many bits a number takes (Vorbis I, 9.2.1). */
const ilog = (v: number): number => (v <= 0 ? 0 : 32 - Math.clz32(v));

/** The greatest whole number whose power to `dimensions` is no more than `entries` (Vorbis I, 9.2.3). */
function lookup1(entries: number, dimensions: number): number {
  let v = Math.floor(entries ** (1 / Math.max(1, dimensions)));
  while ((v + 1) ** dimensions <= entries) v++;
  while (v > 0 && v ** dimensions > entries) v--;
  return v;
}

function codebook(r: Bits): boolean {
  if (r.read(24) !== 0x564342) return false;
  const dimensions = r.read(16);
  const entries = r.read(24);
  if (dimensions === 0) return false;
  if (r.read(1) === 1) {
    r.skip(5);
    for (let i = 0; i < entries && !r.over; ) i += r.read(ilog(entries - i));
  } else if (r.read(1) === 1) {
    for (let i = 0; i < entries && !r.over; i++) if (r.read(1) === 1) r.skip(5);
  } else r.skip(5 * entries);
  const lookup = r.read(4);
  if (lookup > 2) return false;
  if (lookup > 0) {
    r.skip(64);
    const bits = r.read(4) + 1;
    r.skip(1);
    r.skip(bits * (lookup === 1 ? lookup1(entries, dimensions) : entries * dimensions));
  }
  return !r.over;
}

function floor(r: Bits): boolean {
  const type = r.read(16);
  if (type === 0) {
    r.skip(8 + 16 + 16 + 6 + 8);
    r.skip(8 * (r.read(4) + 1));
    return !r.over;
  }
  if (type !== 1) return false;
  const classes = Array.from({ length: r.read(5) }, () => r.read(4));
  const dimensions: number[] = [];
  for (let c = 0; c <= Math.max(-1, ...classes); c++) {
    dimensions.push(r.read(3) + 1);
    const sub = r.read(2);
    if (sub > 0) r.skip(8);
    r.skip(8 * 2 ** sub);
  }
  r.skip(2);
  const bits = r.read(4);
  for (const c of classes) r.skip(bits * (dimensions[c] as number));
  return !r.over;
}

function residue(r: Bits): boolean {
  if (r.read(16) > 2) return false;
  r.skip(24 * 3);
  const classifications = r.read(6) + 1;
  r.skip(8);
  let books = 0;
  for (let k = 0; k < classifications; k++) {
    let cascade = r.read(3);
    if (r.read(1) === 1) cascade += r.read(5) * 8;
    for (; cascade > 0; cascade >>= 1) books += cascade & 1;
  }
  r.skip(8 * books);
  return !r.over;
}

function mapping(r: Bits, channels: number): boolean {
  if (r.read(16) !== 0) return false;
  const submaps = r.read(1) === 1 ? r.read(4) + 1 : 1;
  if (r.read(1) === 1) r.skip((r.read(8) + 1) * 2 * ilog(channels - 1));
  if (r.read(2) !== 0) return false;
  if (submaps > 1) r.skip(4 * channels);
  r.skip(24 * submaps);
  return !r.over;
}

export interface VorbisHead {
  channels: number;
  sampleRate: number;
  short: number;
  long: number;
}

/** The identification header (Vorbis I, 4.2.2). */
export function vorbisHead(b: Uint8Array): VorbisHead | undefined {
  if (b.length < 30 || !is(b, 0, "\x01vorbis") || le32(b, 7) !== 0) return undefined;
  const [channels, sampleRate] = [b[11] as number, le32(b, 12)];
  const short = 2 ** ((b[28] as number) & 15);
  const long = 2 ** ((b[28] as number) >> 4);
  return channels === 0 || sampleRate === 0 || short < 64 || long > 8192 || short > long ? undefined : { channels, sampleRate, short, long };
}

/**
 * Which modes of a setup header (Vorbis I, 4.2.4) use the long block. All that stands before them has to be gone
 * through, since nothing says where they are.
 */
export function vorbisModes(b: Uint8Array, channels: number): boolean[] | undefined {
  if (!is(b, 0, "\x05vorbis")) return undefined;
  const r = new Bits(b, 7);
  const each = (bits: number, one: () => boolean): boolean => {
    for (let n = r.read(bits) + 1; n > 0; n--) if (!one()) return false;
    return true;
  };
  const read =
    each(8, () => codebook(r)) &&
    each(6, () => r.read(16) === 0) &&
    each(6, () => floor(r)) &&
    each(6, () => residue(r)) &&
    each(6, () => mapping(r, channels));
  if (!read) return undefined;
  const modes: boolean[] = [];
  each(6, () => {
    modes.push(r.read(1) === 1);
    r.skip(16 + 16 + 8);
    return true;
  });
  return r.read(1) === 1 && !r.over ? modes : undefined;
}

/** The block size of an audio packet; 0 where it is none (Vorbis I, 4.3.1). */
export function vorbisBlock(b: Uint8Array, head: VorbisHead, modes: readonly boolean[]): number {
  const first = b[0];
  if (first === undefined || first & 1) return 0;
  const long = modes[(first >> 1) & (2 ** ilog(modes.length - 1) - 1)];
  return long === undefined ? 0 : long ? head.long : head.short;
}

/** The three headers as AudioDecoder wants them: laced as Xiph does, with a comment header that says nothing. */
export function vorbisDescription(id: Uint8Array, setup: Uint8Array): Uint8Array {
  const comment = Uint8Array.of(3, 0x76, 0x6f, 0x72, 0x62, 0x69, 0x73, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  const d = new Uint8Array(3 + id.length + comment.length + setup.length);
  d.set([2, id.length, comment.length]);
  d.set(id, 3);
  d.set(comment, 3 + id.length);
  d.set(setup, 3 + id.length + comment.length);
  return d;
}
