/** The wire of a room, protocol "tutti.room.1": see the package rooms/web of the server. Numbers are big-endian. */
export const protocol = "tutti.room.1";

export type Message =
  /** The answer to a question about the time: asked at `token` ms of the page's clock, received and answered by the room's, in ms. */
  | { is: "time"; sent: number; received: number; answered: number }
  | { is: "header"; format: "flac" | "pcm"; header: Uint8Array<ArrayBuffer> }
  /** Sound, due at a time of the room's clock in ms. */
  | { is: "block"; at: number; data: Uint8Array<ArrayBuffer> };

const kinds = { time: 1, header: 2, block: 3 } as const;
const formats = { 1: "pcm", 2: "flac" } as const;

/** A question about the time, which comes back with its answer. */
export function question(sent: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(13);
  const view = new DataView(out.buffer);
  view.setUint8(0, kinds.time);
  view.setFloat64(1, sent);
  return out;
}

const milliseconds = (view: DataView, at: number): number => Number(view.getBigInt64(at)) / 1e6;

/** Reads a binary message; undefined for one that is none that this page knows. */
export function parse(buffer: ArrayBuffer): Message | undefined {
  const view = new DataView(buffer);
  if (buffer.byteLength < 2) return undefined;
  switch (view.getUint8(0)) {
    case kinds.time:
      if (buffer.byteLength !== 29) return undefined;
      return { is: "time", sent: view.getFloat64(1), received: milliseconds(view, 13), answered: milliseconds(view, 21) };
    case kinds.header: {
      const format = formats[view.getUint8(1) as keyof typeof formats] as "pcm" | "flac" | undefined;
      return format === undefined ? undefined : { is: "header", format, header: new Uint8Array(buffer, 2) };
    }
    case kinds.block:
      return buffer.byteLength < 9 ? undefined : { is: "block", at: milliseconds(view, 1), data: new Uint8Array(buffer, 9) };
    default:
      return undefined;
  }
}
