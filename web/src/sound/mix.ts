/**
 * What the audio thread does with decoded samples: joins tracks to the sample, overlaps them where that is asked for,
 * evens out loudness, and fades wherever sound would else begin or end with a click. Without a fade and at a gain of 1
 * the samples go through as they are, bit for bit.
 *
 * Pieces of the queue are called segments: a track, or the part of one from where somebody went to. Their numbers grow.
 */

/** How long a fade takes that hides a cut, in seconds: long enough for no click, too short to be heard as a fade. */
export const rampSeconds = 0.006;

/** How much must have been decoded before sound begins, and after it ran dry, in seconds. */
export const startSeconds = 0.06;
export const againSeconds = 0.5;

/** How long a change of the loudness gain takes, in seconds. */
const gainSeconds = 0.05;

/** What the mixer tells. Frames are counted from the beginning of the track. */
export interface MixEvents {
  /** A segment's first frame was played. */
  began(id: number): void;
  /** Sound comes, at first or again after it ran dry. */
  flows(): void;
  /** What is to be played is not here yet. */
  starved(): void;
  /** The last frame of a segment was played, and nothing is to follow. */
  ended(id: number): void;
  /** So many frames of a segment are played, or dropped, and need no more memory. */
  consumed(id: number, frames: number): void;
  /** What samples lay in that are played or dropped: it may be used again. */
  spent(planes: readonly Float32Array[]): void;
}

interface Segment {
  readonly id: number;
  /** A plane of samples for each channel, in order. */
  chunks: Float32Array[][];
  /** How much of the first chunk is played. */
  offset: number;
  /** Frames that are here and not played. */
  buffered: number;
  /** The next frame to play. */
  position: number;
  /** Nothing more will come. */
  complete: boolean;
  gain: number;
  gainTo: number;
  begun: boolean;
}

/** A segment on its way out, under what plays now. */
interface Leaving {
  readonly segment: Segment;
  at: number;
  readonly frames: number;
  readonly power: boolean;
  /** Where in the next block it begins. */
  from: number;
}

/** Equal power: the squares of both curves add up to one, so unrelated music keeps its loudness through an overlap. */
export const curve = (t: number, power: boolean): number => (power ? Math.sin((Math.min(1, Math.max(0, t)) * Math.PI) / 2) : Math.min(1, Math.max(0, t)));

export class Mixer {
  private current: Segment | undefined;
  private next: Segment | undefined;
  /**
   * Segments whose samples came before the word of what they are for: both travel by ways of their own. The worker counts
   * what is here as not played, so this holds no more than the rest may.
   */
  private early = new Map<number, Segment>();
  /** The last segment there was word of. What is older and neither plays nor follows is not wanted any more. */
  private newest = 0;
  /** What is to follow; 0 for nothing. */
  private follows = 0;
  private overlap = 0;
  private leaving: Leaving[] = [];
  /** How far the current segment has faded in, in frames; done at `inFrames`. */
  private inAt = 0;
  private inFrames = 0;
  private inPower = false;
  /** The envelope of pausing and running dry: where it is, and where it goes. */
  private level = 1;
  private target = 1;
  private running = false;
  private dry = true;
  private tellDry = false;
  private readonly ramp: number;
  /** Played since it was last told, of the current segment. */
  private played = 0;
  private onPaused: (() => void) | undefined;

  constructor(
    private readonly rate: number,
    private readonly on: MixEvents,
  ) {
    this.ramp = Math.max(1, Math.round(rate * rampSeconds));
  }

  /** Where the music is: which segment, its next frame, and how many frames are here beyond it. */
  where(): { id: number; frame: number; buffered: number } | undefined {
    const s = this.current;
    return s && { id: s.id, frame: s.position, buffered: s.buffered + (s.complete ? (this.next?.buffered ?? 0) : 0) };
  }

  /** Whether so many frames can be played without running dry. */
  lasts(frames: number): boolean {
    const s = this.current;
    if (s === undefined) return false;
    const enough = frames + this.ramp;
    if (!s.complete) return s.buffered > enough;
    return this.next === undefined || this.next.complete || s.buffered + this.next.buffered > enough;
  }

  /** From now on this segment is played, from a frame of its track on. What played fades out. */
  cut(id: number, frame: number, gain: number): void {
    if (this.current?.id === id) {
      // Somebody skipped to what followed just when it began by itself.
      this.current.gainTo = gain;
      if (!this.dry) this.on.flows();
      return;
    }
    const before = this.current;
    const waiting = this.next?.id === id ? this.next : undefined;
    this.flush();
    if (before !== undefined && before.buffered > 0 && this.running && !this.dry && this.level > 0) {
      this.leaving.push({ segment: before, at: 0, frames: Math.min(this.ramp, before.buffered), power: false, from: 0 });
    } else if (before !== undefined) {
      this.discard(before);
    }
    if (this.next !== undefined && this.next !== waiting) this.discard(this.next);
    this.next = undefined;
    this.follows = 0;
    this.current = waiting ?? this.claim(id) ?? segment(id, frame);
    this.current.position = frame;
    this.current.gain = this.current.gainTo = gain;
    this.dry = true;
    this.tellDry = false;
    this.level = this.target = this.running ? 1 : 0;
    // The beginning of a track is meant to be heard as it is; its middle would begin with a click.
    this.fadeIn(frame > 0 ? this.ramp : 0, false);
  }

  /** What to go on with; 0 for nothing. Its last `overlap` frames sound together with the first of what follows. */
  follow(id: number, overlap: number, gain: number): void {
    this.overlap = overlap;
    if (id !== this.follows) {
      if (this.next !== undefined && this.next.id !== id) {
        this.discard(this.next);
        this.next = undefined;
      }
      this.follows = id;
      if (id !== 0) this.next ??= this.claim(id) ?? segment(id, 0);
    }
    if (this.next !== undefined) this.next.gain = this.next.gainTo = gain;
  }

  regain(id: number, gain: number): void {
    for (const s of [this.current, this.next]) if (s?.id === id) s.gainTo = gain;
    if (this.next?.id === id) this.next.gain = gain;
  }

  /** Samples of a segment; those of one that is no longer wanted are dropped. */
  add(id: number, planes: Float32Array[]): void {
    const s = this.find(id);
    const frames = planes[0]?.length ?? 0;
    if (s === undefined) {
      this.on.spent(planes);
      this.on.consumed(id, frames);
      return;
    }
    if (frames === 0) return;
    s.chunks.push(planes);
    s.buffered += frames;
  }

  complete(id: number): void {
    const s = this.find(id);
    if (s !== undefined) s.complete = true;
  }

  private find(id: number): Segment | undefined {
    if (this.current?.id === id) return this.current;
    if (this.next?.id === id) return this.next;
    if (id <= this.newest) return undefined;
    let s = this.early.get(id);
    if (s === undefined) this.early.set(id, (s = segment(id, 0)));
    return s;
  }

  /** What came early of a segment that there is word of now. Of older ones there will be none. */
  private claim(id: number): Segment | undefined {
    this.newest = Math.max(this.newest, id);
    const claimed = this.early.get(id);
    for (const [k, s] of this.early) {
      if (k > id) continue;
      this.early.delete(k);
      if (k !== id) this.discard(s);
    }
    return claimed;
  }

  play(): void {
    this.onPaused = undefined;
    this.running = true;
    this.target = 1;
    // From the very beginning nothing can click.
    if (this.current?.begun === false) this.level = 1;
  }

  /** Fades out, holds, and says when that is done. */
  pause(done: () => void): void {
    this.running = false;
    this.target = 0;
    this.onPaused = done;
    this.hush();
  }

  /** Says that it is paused, once the fade is over or there is nothing to fade. */
  private hush(): void {
    const done = this.onPaused;
    if (done === undefined) return;
    if (this.dry || this.current === undefined) {
      this.level = 0;
      for (const l of this.leaving) this.discard(l.segment);
      this.leaving = [];
    }
    if (this.level > 0) return;
    this.onPaused = undefined;
    done();
  }

  /** Fills a block of output, one plane a channel, which is silent when it comes. */
  render(out: Float32Array[]): void {
    const frames = out[0]?.length ?? 0;
    let done = 0;
    while (done < frames) {
      const n = this.step(out, done, frames - done);
      if (n === 0) break;
      done += n;
    }
    this.leave(out);
    this.hush();
    if (this.played >= this.rate / 4) this.flush();
  }

  /** Plays up to n frames of what plays now, and says how many; 0 where there is nothing to play in this block. */
  private step(out: Float32Array[], at: number, n: number): number {
    const s = this.current;
    if (s === undefined || (!this.running && this.level === 0)) return 0;
    if (this.dry) {
      const enough = s.begun ? againSeconds : startSeconds;
      if (!s.complete && s.buffered < enough * this.rate) {
        if (this.running && !this.tellDry) {
          this.tellDry = true;
          this.on.starved();
        }
        return 0;
      }
      this.dry = this.tellDry = false;
      this.target = this.running ? 1 : 0;
      if (s.buffered > 0) this.on.flows();
    }
    if (s.buffered === 0) {
      if (s.complete) return this.goOn(s, at, false) ? this.step(out, at, n) : 0;
      this.dry = true;
      this.level = 0;
      return 0;
    }
    if (!s.begun) {
      s.begun = true;
      this.on.began(s.id);
    }
    // Running dry: the little that is left goes out quietly rather than with a click.
    if (!s.complete && s.buffered <= this.ramp + n) this.target = 0;
    else if (this.running) this.target = 1;

    // Where an overlap begins, the block is divided.
    let most = Math.min(n, s.buffered);
    if (this.overlap > 0 && s.complete && this.next !== undefined && this.ready(this.next)) {
      const until = s.buffered - this.overlap;
      if (until <= 0) {
        this.goOn(s, at, true);
        return this.step(out, at, n);
      }
      most = Math.min(most, until);
    }
    const took = this.take(s, out, at, most);
    this.played += took;
    if (this.level === 0 && this.target === 0 && this.running) this.dry = true;
    return took;
  }

  private ready(s: Segment): boolean {
    return s.complete || s.buffered > startSeconds * this.rate;
  }

  /** Makes what follows the current segment, `at` frames into the block. False where nothing does. */
  private goOn(s: Segment, at: number, overlapped: boolean): boolean {
    this.flush();
    if (this.next === undefined || this.follows === 0) {
      this.current = undefined;
      this.on.ended(s.id);
      return false;
    }
    const frames = overlapped ? s.buffered : 0;
    if (overlapped) this.leaving.push({ segment: s, at: 0, frames, power: true, from: at });
    this.current = this.next;
    this.next = undefined;
    this.follows = 0;
    this.overlap = 0;
    this.fadeIn(frames, true);
    // A join is no beginning: whatever is here of what follows goes on at once.
    this.dry = this.current.buffered === 0;
    return true;
  }

  private fadeIn(frames: number, power: boolean): void {
    this.inAt = 0;
    this.inFrames = frames;
    this.inPower = power;
  }

  /** Moves samples of one chunk into the output, with all gains, and says how many. */
  private take(s: Segment, out: Float32Array[], at: number, n: number): number {
    const chunk = s.chunks[0];
    const length = chunk?.[0]?.length ?? 0;
    if (chunk === undefined) return 0;
    const frames = Math.min(n, length - s.offset);
    const plain = this.level === 1 && this.target === 1 && s.gain === s.gainTo && this.inAt >= this.inFrames;
    for (let c = 0; c < out.length; c++) {
      const to = out[c];
      const from = chunk[Math.min(c, chunk.length - 1)];
      if (to === undefined || from === undefined) continue;
      if (plain && s.gain === 1) {
        to.set(from.subarray(s.offset, s.offset + frames), at);
      } else if (plain) {
        for (let i = 0; i < frames; i++) to[at + i] = (from[s.offset + i] ?? 0) * s.gain;
      } else {
        let { level } = this;
        let { gain } = s;
        for (let i = 0; i < frames; i++) {
          const faded = this.inAt + i < this.inFrames ? curve((this.inAt + i) / this.inFrames, this.inPower) : 1;
          to[at + i] = (from[s.offset + i] ?? 0) * gain * level * faded;
          level = toward(level, this.target, 1 / this.ramp);
          gain = toward(gain, s.gainTo, 1 / (gainSeconds * this.rate));
        }
      }
    }
    if (!plain) {
      this.level = toward(this.level, this.target, frames / this.ramp);
      s.gain = toward(s.gain, s.gainTo, frames / (gainSeconds * this.rate));
      this.inAt += frames;
    }
    this.drop(s, frames);
    return frames;
  }

  private drop(s: Segment, frames: number): void {
    s.offset += frames;
    s.buffered -= frames;
    s.position += frames;
    const first = s.chunks[0]?.[0];
    if (first !== undefined && s.offset >= first.length) {
      s.offset -= first.length;
      this.on.spent(s.chunks.shift() ?? []);
    }
  }

  /** Adds what is on its way out. */
  private leave(out: Float32Array[]): void {
    if (this.leaving.length === 0 || (!this.running && this.level === 0)) return;
    const frames = out[0]?.length ?? 0;
    for (const l of this.leaving) {
      const { segment: s } = l;
      let done = l.from;
      l.from = 0;
      while (done < frames && l.at < l.frames && s.buffered > 0) {
        const chunk = s.chunks[0];
        if (chunk === undefined) break;
        const n = Math.min(frames - done, l.frames - l.at, (chunk[0]?.length ?? 0) - s.offset);
        for (let c = 0; c < out.length; c++) {
          const to = out[c];
          const from = chunk[Math.min(c, chunk.length - 1)];
          if (to === undefined || from === undefined) continue;
          for (let i = 0; i < n; i++) {
            to[done + i] = (to[done + i] ?? 0) + (from[s.offset + i] ?? 0) * s.gain * this.level * curve(1 - (l.at + i) / l.frames, l.power);
          }
        }
        l.at += n;
        done += n;
        this.drop(s, n);
        this.on.consumed(s.id, n);
      }
      if (l.at >= l.frames) this.discard(s);
    }
    this.leaving = this.leaving.filter((l) => l.at < l.frames && l.segment.buffered > 0);
  }

  private discard(s: Segment): void {
    for (const chunk of s.chunks) this.on.spent(chunk);
    s.chunks = [];
    if (s.buffered > 0) this.on.consumed(s.id, s.buffered);
    s.buffered = 0;
  }

  private flush(): void {
    if (this.played > 0 && this.current !== undefined) this.on.consumed(this.current.id, this.played);
    this.played = 0;
  }
}

const segment = (id: number, frame: number): Segment => ({ id, chunks: [], offset: 0, buffered: 0, position: frame, complete: false, gain: 1, gainTo: 1, begun: false });

const toward = (from: number, to: number, by: number): number => (from < to ? Math.min(to, from + by) : Math.max(to, from - by));
