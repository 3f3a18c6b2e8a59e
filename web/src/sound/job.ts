import { Decoding, type Memory, Undecodable } from "./decode";
import { type Demuxer, openDemuxer, type Packet } from "./demux";
import type { Wanted } from "./messages";
import { Source, SourceError } from "./source";

/** How much of a file may be looked at before it must have said what it is, in bytes; large pictures are passed over, not read. */
const mostHeader = 16 << 20;

/** How often a file that changes under the player, or a transcode that breaks off, is begun again without getting anywhere. */
const mostRestarts = 8;

export interface JobEvents {
  /** Samples of the track, in order. */
  give(planes: Float32Array[]): void;
  shape(sampleRate: number, channels: number): void;
  complete(): void;
  failed(why: "format" | "network"): void;
  /** Resolves when there is room for more decoded samples, at once where there is. */
  room(): Promise<void>;
}

/** Fetches, takes apart and decodes one track from a place in it on. */
export class Job {
  private source: Source;
  private demuxer: Demuxer | undefined;
  private decoding: Decoding | undefined;
  private stopped = false;
  /** Samples given out, by all the decodings there were. */
  private given = 0;
  private sampleRate = 0;
  /** Where on the track's time the demuxer's time 0 lies: not 0 for a transcode that begins further in. */
  private zeroMs = 0;

  constructor(
    readonly wanted: Wanted,
    private readonly on: JobEvents,
    private readonly memory: Memory,
    from?: Job,
  ) {
    // Somebody went to another place of the same track: what is known of the file stays known.
    if (from?.wanted.url === wanted.url && from.source.size !== undefined && from.demuxer?.info() !== undefined && from.zeroMs === 0) {
      this.demuxer = from.demuxer;
      this.source = from.source.from(0);
    } else {
      this.source = new Source(wanted.url);
    }
  }

  /** Fetches the beginning, so that it is here when it is wanted. */
  prepare(): void {
    this.source.prefetch();
  }

  stop(): void {
    this.stopped = true;
    this.source.close();
    this.decoding?.close();
  }

  async run(): Promise<void> {
    let restarts = 0;
    let reached = -1;
    for (;;) {
      try {
        await this.decode(this.wanted.fromMs + (this.sampleRate === 0 ? 0 : (this.given / this.sampleRate) * 1000));
        if (!this.stopped) this.on.complete();
        return;
      } catch (cause) {
        this.decoding?.close();
        if (this.stopped) return;
        const again = cause instanceof SourceError && (cause.why === "changed" || cause.why === "cut");
        if (this.given > reached) restarts = 0;
        reached = this.given;
        if (!again || restarts++ >= mostRestarts) {
          this.on.failed(cause instanceof SourceError ? "network" : "format");
          return;
        }
        this.demuxer = undefined;
        this.source.close();
        this.source = new Source(this.wanted.url);
      }
    }
  }

  /** Decodes from a place on to the end. */
  private async decode(fromMs: number): Promise<void> {
    this.zeroMs = 0;
    const ready = this.demuxer !== undefined;
    if (!ready) await this.open();
    if (this.stopped) return;
    if (fromMs > 0 && this.source.live && this.wanted.offsetUrl !== "") {
      // What is still being made can only be made from there on.
      this.source.close();
      this.zeroMs = Math.floor(fromMs);
      this.source = new Source(`${this.wanted.offsetUrl}${this.zeroMs}`);
      await this.open();
      if (this.halted()) return;
    }
    const { demuxer } = this;
    const info = demuxer?.info();
    if (demuxer === undefined || info === undefined) throw new Undecodable("it is not known what this is");
    this.sampleRate = info.sampleRate;
    const first = Math.round(((fromMs - this.zeroMs) * info.sampleRate) / 1000);
    const decoding = new Decoding(
      info,
      first,
      (planes) => {
        if (this.stopped) return;
        this.given += planes[0]?.length ?? 0;
        this.on.give(planes);
      },
      (sampleRate, channels) => {
        this.sampleRate = sampleRate;
        if (!this.stopped) this.on.shape(sampleRate, channels);
      },
      this.memory,
    );
    this.decoding = decoding;
    await decoding.begin();
    if (this.halted()) {
      decoding.close();
      return;
    }

    let packets = this.opened;
    this.opened = [];
    if (first > 0 && this.source.size !== undefined) {
      packets = [];
      const { offset, reset } = demuxer.seek(fromMs - this.zeroMs, this.source.size);
      reset();
      this.source.seek(offset);
    } else if (ready && this.source.size !== undefined) {
      const { offset, reset } = demuxer.seek(0, this.source.size);
      reset();
      this.source.seek(offset);
    }
    let last = false;
    for (;;) {
      for (const p of packets) {
        await this.on.room();
        if (this.halted()) return;
        await decoding.take(p);
      }
      if (last || this.halted()) break;
      const wants = demuxer.wants();
      if (wants !== undefined && this.source.size !== undefined) this.source.seek(wants);
      const at = this.source.position;
      const bytes = await this.source.read();
      if (this.halted()) return;
      if (bytes !== undefined) {
        packets = demuxer.push(bytes, at);
        continue;
      }
      packets = demuxer.end();
      last = demuxer.wants() === undefined || this.source.size === undefined;
    }
    await decoding.finish();
  }

  /** Whether it was stopped while it waited; a function, so that the compiler asks every time. */
  private halted(): boolean {
    return this.stopped;
  }

  /** Packets that came with the headers. */
  private opened: Packet[] = [];

  /** Reads until the file has said what it is. */
  private async open(): Promise<void> {
    this.opened = [];
    let demuxer: Demuxer | undefined;
    for (let read = 0; read < mostHeader; ) {
      const wants = demuxer?.wants();
      if (wants !== undefined && this.source.size !== undefined) this.source.seek(wants);
      const at = this.source.position;
      const bytes = await this.source.read();
      if (this.stopped) return;
      if (bytes === undefined) {
        this.opened.push(...(demuxer?.end() ?? []));
        if (demuxer?.wants() === undefined || this.source.size === undefined) break;
        continue;
      }
      read += bytes.length;
      demuxer ??= openDemuxer(this.source.contentType, bytes);
      if (demuxer === undefined) break;
      this.opened.push(...demuxer.push(bytes, at));
      if (demuxer.info() !== undefined) break;
    }
    if (demuxer?.info() === undefined) throw new Undecodable("it is not known what this is");
    this.demuxer = demuxer;
  }
}
