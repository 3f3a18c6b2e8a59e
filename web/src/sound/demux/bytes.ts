/** Numbers out of bytes. Reading past the end gives 0 for what is missing, so callers check lengths first. */
export const be16 = (b: Uint8Array, i: number): number => ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0);
export const be24 = (b: Uint8Array, i: number): number => (be16(b, i) << 8) | (b[i + 2] ?? 0);
export const be32 = (b: Uint8Array, i: number): number => be16(b, i) * 0x10000 + be16(b, i + 2);
export const be64 = (b: Uint8Array, i: number): number => be32(b, i) * 2 ** 32 + be32(b, i + 4);
export const le16 = (b: Uint8Array, i: number): number => (b[i] ?? 0) | ((b[i + 1] ?? 0) << 8);
export const le32 = (b: Uint8Array, i: number): number => le16(b, i) + le16(b, i + 2) * 0x10000;
/** A signed 64-bit number. Exact to 2^53, which no count of samples reaches. */
export const le64 = (b: Uint8Array, i: number): number => (le32(b, i + 4) | 0) * 2 ** 32 + le32(b, i);

/** Whether the ASCII text stands at i. */
export function is(b: Uint8Array, i: number, text: string): boolean {
  if (i < 0 || i + text.length > b.length) return false;
  for (let k = 0; k < text.length; k++) if (b[i + k] !== text.charCodeAt(k)) return false;
  return true;
}

/** The length of an ID3v2 tag that begins at i, header and footer included (id3v2.4.0-structure, 3.1); 0 where there is none. */
export function id3Length(b: Uint8Array, i: number): number {
  if (!is(b, i, "ID3") || i + 10 > b.length || b[i + 3] === 0xff || b[i + 4] === 0xff) return 0;
  let size = 0;
  for (let k = 6; k < 10; k++) {
    const v = b[i + k] ?? 0;
    if (v > 0x7f) return 0;
    size = size * 128 + v;
  }
  return 10 + size + ((b[i + 5] ?? 0) & 0x10 ? 10 : 0);
}

/** Reads bits, most significant first. Past the end come zeros, and `over` says so. */
export class Bits {
  private i = 0;
  constructor(private readonly b: Uint8Array) {}

  get over(): boolean {
    return this.i > this.b.length * 8;
  }

  get position(): number {
    return this.i;
  }

  read(n: number): number {
    let v = 0;
    for (let k = 0; k < n; k++, this.i++) v = v * 2 + (((this.b[this.i >> 3] ?? 0) >> (7 - (this.i & 7))) & 1);
    return v;
  }
}
