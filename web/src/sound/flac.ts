import { frameHeader, type StreamInfo, streamInfo } from "./demux/flac";
import type { Scratch } from "./pcm";

/** Reads a frame's bits, the highest of a byte first (RFC 9639, 5). It throws where there are no more. */
class Bits {
  private held = 0;
  private count = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
  ) {}

  private fill(): void {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new RangeError("a FLAC frame ends too soon");
    this.held = (this.held << 8) | byte;
    this.count += 8;
  }

  /** n ≤ 40 bits as a number without a sign. */
  read(n: number): number {
    if (n > 24) {
      const high = this.read(n - 16);
      return high * 65_536 + this.read(16);
    }
    while (this.count < n) this.fill();
    this.count -= n;
    return (this.held >>> this.count) & ((1 << n) - 1);
  }

  /** n ≤ 40 bits in two's complement. */
  signed(n: number): number {
    if (n === 0) return 0;
    const v = this.read(n);
    return v >= 2 ** (n - 1) ? v - 2 ** n : v;
  }

  /** How many zeros come before the next one, which is read, too. */
  unary(): number {
    let zeros = 0;
    for (;;) {
      if (this.count === 0) this.fill();
      const ahead = this.held << (32 - this.count);
      if (ahead !== 0) {
        const n = Math.clz32(ahead);
        this.count -= n + 1;
        return zeros + n;
      }
      zeros += this.count;
      this.count = 0;
    }
  }
}

/** The predictors of fixed order (RFC 9639, 9.2.5). */
const fixed = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]] as const;

/**
 * Decodes FLAC frames (RFC 9639) where the browser has no decoder for them, which is so on every page that came over
 * plain http: WebCodecs is for secure contexts. Samples are kept as 64-bit floats, which hold every sum of 32-bit
 * samples and 15-bit coefficients exactly.
 */
export class FlacDecoder {
  private readonly info: StreamInfo;
  private readonly channels: Float64Array[];

  /** description is the signature and the STREAMINFO block, as AudioDecoder would want it. It throws where it makes no sense. */
  constructor(description: Uint8Array) {
    const info = streamInfo(description, 8);
    if (info === undefined) throw new RangeError("no FLAC stream");
    this.info = info;
    this.channels = Array.from({ length: info.channels }, () => new Float64Array(info.maxBlock));
  }

  /** One frame's samples as planes in scratch memory. It throws a RangeError where the frame makes no sense. */
  decode(frame: Uint8Array, scratch: Scratch): Float32Array[] {
    const { info } = this;
    const header = frameHeader(frame, 0, frame.length, info);
    if (header === undefined) throw new RangeError("no FLAC frame");
    const { blockSize } = header;
    const bits = new Bits(frame, header.length);
    const layout = (frame[3] as number) >> 4;
    this.channels.forEach((to, c) => {
      // Of left/side and mid/side the second channel is the difference, of side/right the first.
      const side = layout >= 8 && c === (layout === 9 ? 0 : 1) ? 1 : 0;
      subframe(bits, to, blockSize, info.bits + side);
    });
    const [a, b] = this.channels;
    if (layout >= 8 && a !== undefined && b !== undefined) decorrelate(layout, a, b, blockSize);
    const scale = 2 ** (1 - info.bits);
    const out = scratch.planes(info.channels, blockSize);
    out.forEach((plane, c) => {
      const from = this.channels[c];
      if (from !== undefined) for (let i = 0; i < blockSize; i++) plane[i] = (from[i] as number) * scale;
    });
    return out;
  }
}

/** Stereo as it was before it was made smaller (RFC 9639, 4.2). */
function decorrelate(layout: number, a: Float64Array, b: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    if (layout === 8) b[i] = x - y;
    else if (layout === 9) a[i] = x + y;
    else {
      const mid = x * 2 + Math.abs(y % 2);
      a[i] = (mid + y) / 2;
      b[i] = (mid - y) / 2;
    }
  }
}

/** One channel of a frame (RFC 9639, 9.2). */
function subframe(bits: Bits, to: Float64Array, n: number, depth: number): void {
  const type = bits.read(7); // the highest bit is reserved, and 0
  const wasted = bits.read(1) === 1 ? bits.unary() + 1 : 0;
  const width = depth - wasted;
  if (width <= 0) throw new RangeError("a FLAC subframe wastes more bits than it has");
  if (type === 0) to.fill(bits.signed(width), 0, n);
  else if (type === 1) for (let i = 0; i < n; i++) to[i] = bits.signed(width);
  else if (type >= 8 && type <= 12) {
    const order = type - 8;
    warmUp(bits, to, n, order, width);
    residual(bits, to, n, order);
    predict(to, n, fixed[order as 0 | 1 | 2 | 3 | 4], 0);
  } else if (type >= 32 && type < 64) {
    const order = type - 31;
    warmUp(bits, to, n, order, width);
    const precision = bits.read(4) + 1;
    const shift = bits.signed(5);
    if (precision === 16 || shift < 0) throw new RangeError("a FLAC predictor that must not be");
    const coefficients = Array.from({ length: order }, () => bits.signed(precision));
    residual(bits, to, n, order);
    predict(to, n, coefficients, shift);
  } else throw new RangeError("a FLAC subframe of a reserved type");
  if (wasted > 0) for (let i = 0; i < n; i++) to[i] = (to[i] as number) * 2 ** wasted;
}

function warmUp(bits: Bits, to: Float64Array, n: number, order: number, width: number): void {
  if (order > n) throw new RangeError("a FLAC predictor longer than its block");
  for (let i = 0; i < order; i++) to[i] = bits.signed(width);
}

/** What the prediction missed by, from the order-th sample on (RFC 9639, 9.2.7). */
function residual(bits: Bits, to: Float64Array, n: number, order: number): void {
  const method = bits.read(2);
  if (method > 1) throw new RangeError("a FLAC residual of a reserved kind");
  const width = method === 0 ? 4 : 5;
  const escape = 2 ** width - 1;
  const partitions = 2 ** bits.read(4);
  const each = n / partitions;
  if (!Number.isInteger(each) || each < order) throw new RangeError("a FLAC block that cannot be divided so");
  let i = order;
  for (let p = 1; p <= partitions; p++) {
    const parameter = bits.read(width);
    if (parameter === escape) {
      const raw = bits.read(5);
      for (; i < p * each; i++) to[i] = bits.signed(raw);
      continue;
    }
    const factor = 2 ** parameter;
    for (; i < p * each; i++) {
      const v = bits.unary() * factor + bits.read(parameter);
      to[i] = v % 2 === 0 ? v / 2 : -(v + 1) / 2; // zigzag
    }
  }
}

/** Adds the prediction to what it missed by. */
function predict(to: Float64Array, n: number, coefficients: readonly number[], shift: number): void {
  const order = coefficients.length;
  const divisor = 2 ** shift;
  for (let i = order; i < n; i++) {
    let sum = 0;
    for (let k = 0; k < order; k++) sum += (coefficients[k] as number) * (to[i - 1 - k] as number);
    to[i] = (to[i] as number) + Math.floor(sum / divisor);
  }
}
