import type { Demuxed, Packet } from "./demux";
import { FlacDecoder } from "./flac";
import { isPcm, planesOf, planesOfPcm, Scratch } from "./pcm";

/** Packets that the decoder may have before it, so that it is never idle and never far ahead of what is wanted. */
const mostQueued = 24;

/** Frames that travel together, so that there are a few messages a second and not forty; the first ones go sooner. */
const firstPiece = 2048;
export const piece = 16384;

/** Where memory for pieces comes from. */
export interface Memory {
  /** So many samples, whatever is in them. */
  get(frames: number): Float32Array;
  put(planes: readonly Float32Array[]): void;
}

/** What cannot be decoded here. */
export class Undecodable extends Error {}

/**
 * Turns packets into samples: decodes, drops what is not to be heard before `from` and behind the end, and gathers what
 * is left into pieces.
 */
export class Decoding {
  private decoder: AudioDecoder | undefined;
  private flac: FlacDecoder | undefined;
  /** Where on the listening timeline the next decoded sample stands; undefined until the decoder has said. */
  private next: number | undefined;
  /** Where what is to be heard ends, as far as the packets given so far say. */
  private until = 0;
  private gathered: Float32Array[] = [];
  private filled = 0;
  private size = firstPiece;
  private readonly scratch = new Scratch();
  private failure: Error | undefined;
  private moved: () => void = () => undefined;
  /** How many samples were given out. */
  frames = 0;

  constructor(
    private readonly info: Demuxed,
    /** The first sample of interest, on the listening timeline. */
    private readonly from: number,
    private readonly give: (planes: Float32Array[]) => void,
    private readonly shape: (sampleRate: number, channels: number) => void,
    private readonly memory: Memory,
  ) {}

  /** Whether this can be decoded here. It throws Undecodable where not. */
  async begin(): Promise<void> {
    const { codec, sampleRate, channels, description } = this.info;
    if (isPcm(codec)) return;
    if (typeof AudioDecoder === "undefined") {
      if (codec !== "flac" || description === undefined) throw new Undecodable(`no decoder for ${codec}`);
      this.flac = new FlacDecoder(description);
      return;
    }
    const config: AudioDecoderConfig = { codec, sampleRate, numberOfChannels: channels, ...(description !== undefined ? { description } : {}) };
    let supported = false;
    try {
      ({ supported = false } = await AudioDecoder.isConfigSupported(config));
    } catch {
      // A configuration that makes no sense to the browser is none that it supports.
    }
    if (!supported) throw new Undecodable(`no decoder for ${codec}`);
    this.decoder = new AudioDecoder({
      output: (data) => {
        try {
          this.took(Math.round((data.timestamp * data.sampleRate) / 1e6), planesOf(data, this.scratch), data.sampleRate);
        } finally {
          data.close();
          this.moved();
        }
      },
      error: (cause) => {
        this.failure = new Undecodable(cause.message);
        this.moved();
      },
    });
    this.decoder.configure(config);
    this.decoder.ondequeue = () => this.moved();
  }

  /** Takes a packet. It waits while the decoder has enough before it. */
  async take(p: Packet): Promise<void> {
    const { codec, sampleRate, channels } = this.info;
    const at = Math.round((p.timestampUs * sampleRate) / 1e6);
    this.until = Math.max(this.until, at + p.samples);
    if (this.flac !== undefined) {
      let planes: Float32Array[];
      try {
        planes = this.flac.decode(p.data, this.scratch);
      } catch (cause) {
        throw new Undecodable(cause instanceof Error ? cause.message : String(cause));
      }
      this.took(at, planes, sampleRate);
      return;
    }
    if (this.decoder === undefined) {
      this.took(at, planesOfPcm(codec, p.data, channels, this.scratch), sampleRate);
      return;
    }
    while (this.failure === undefined && this.decoder.decodeQueueSize >= mostQueued) await new Promise<void>((resolve) => (this.moved = resolve));
    if (this.failure !== undefined) throw this.failure;
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: p.timestampUs, data: p.data }));
  }

  /** Gives out what is left. */
  async finish(): Promise<void> {
    await this.decoder?.flush();
    if (this.failure !== undefined) throw this.failure;
    this.send();
    this.close();
  }

  close(): void {
    if (this.decoder !== undefined && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = undefined;
  }

  private took(stamp: number, planes: Float32Array[], sampleRate: number): void {
    const frames = planes[0]?.length ?? 0;
    if (this.next === undefined) {
      this.next = stamp;
      this.shape(sampleRate, planes.length);
    }
    // Stamps are in microseconds and some decoders round them, so what follows is counted.
    const begin = this.next;
    this.next += frames;
    const first = Math.max(0, this.from - begin);
    const last = Math.min(frames, this.until - begin);
    if (last > first) this.gather(planes, first, last);
  }

  private gather(planes: Float32Array[], first: number, last: number): void {
    for (let at = first; at < last; ) {
      if (this.gathered.length === 0) this.gathered = planes.map(() => this.memory.get(this.size));
      const n = Math.min(last - at, this.size - this.filled);
      this.gathered.forEach((to, c) => {
        const from = planes[Math.min(c, planes.length - 1)];
        if (from !== undefined) to.set(from.subarray(at, at + n), this.filled);
      });
      this.filled += n;
      at += n;
      if (this.filled === this.size) this.send();
    }
  }

  private send(): void {
    if (this.filled === 0) return;
    let planes = this.gathered;
    if (this.filled < this.size) {
      planes = planes.map((p) => p.slice(0, this.filled));
      this.memory.put(this.gathered);
    }
    this.frames += this.filled;
    this.gathered = [];
    this.filled = 0;
    this.size = piece;
    this.give(planes);
  }
}
