import { FedMixer } from "./fed";
import type { FromMixer, ToMixer } from "./messages";
import { rampSeconds } from "./mix";

/** How long a block of sound is, and how far ahead blocks are handed to the audio thread, in seconds: the page may be busy for so long. */
const blockSeconds = 0.1;
const aheadSeconds = 1.5;

/** How much must be decoded before the first block is mixed, in seconds: a block is longer than what the mixer begins with. */
const startSeconds = 0.4;

/** How soon the first block sounds: the audio thread must have it before. */
const leadSeconds = 0.1;

interface Block {
  readonly node: AudioBufferSourceNode;
  /** In frames of the context's time. */
  readonly from: number;
  /** Where the music is at its beginning. */
  readonly at: { id: number; frame: number; buffered: number } | undefined;
  /** What is to be told when it begins, and when it ends. */
  readonly first: FromMixer[];
  readonly last: FromMixer[];
}

/**
 * The mixer on the page, for browsers that have no audio worklet: none has on a page that came over plain http. What it
 * mixes is handed over in blocks that begin where the one before ends, to the frame; what it says is told when it is heard.
 */
export class PageMixer {
  private readonly fed: FedMixer;
  private gate: GainNode;
  /** Handed over and not heard to its end, in order. */
  private blocks: Block[] = [];
  /** Where the last one ends, in frames of the context's time. */
  private end = 0;
  private running = false;
  /** It said that nothing is here yet. */
  private waits = false;
  /** What the mixer says while it mixes; undefined while nobody wants to know. */
  private said: FromMixer[] | undefined;
  private pausing: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    private readonly context: AudioContext,
    private readonly channels: number,
    private readonly into: AudioNode,
    private readonly tell: (m: FromMixer) => void,
  ) {
    this.fed = new FedMixer(context.sampleRate, (what) => this.said?.push(what));
    this.fed.mixer.play();
    this.gate = this.makeGate();
  }

  say(m: ToMixer): void {
    const { mixer } = this.fed;
    switch (m.do) {
      case "connect":
        this.fed.connect(m.port, () => this.fill());
        break;
      case "cut":
        this.drop();
        // What is heard fades out by the gate. What the mixer would let fade out lies further on.
        mixer.pause(() => undefined);
        mixer.render(this.planes(Math.ceil(rampSeconds * this.context.sampleRate) + 1));
        mixer.cut(m.id, m.frame, m.gain);
        mixer.play();
        this.fill();
        break;
      case "follow":
        mixer.follow(m.id, m.overlapFrames, m.gain);
        break;
      case "regain":
        mixer.regain(m.id, m.gain);
        break;
      case "play":
        clearTimeout(this.pausing);
        this.running = true;
        this.fade(1);
        this.fill();
        break;
      case "pause":
        clearTimeout(this.pausing);
        this.running = false;
        this.fade(0);
        // Blocks that were handed over stay, and go on where the context does.
        this.pausing = setTimeout(() => this.tell({ is: "paused" }), rampSeconds * 1000 + 20);
        break;
      case "every":
    }
  }

  close(): void {
    this.closed = true;
    this.running = false;
    clearTimeout(this.pausing);
    for (const b of this.blocks) b.node.onended = null;
    this.blocks = [];
  }

  private makeGate(): GainNode {
    const gate = this.context.createGain();
    gate.gain.value = this.running ? 1 : 0;
    gate.connect(this.into);
    return gate;
  }

  private fade(to: number): void {
    const { gain } = this.gate;
    const now = this.context.currentTime;
    gain.cancelScheduledValues(now);
    // Before anything sounds there is nothing to fade: the beginning of a track is to be heard as it is.
    if (to === 1 && this.blocks.length === 0) {
      gain.setValueAtTime(1, now);
      return;
    }
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(to, now + rampSeconds);
  }

  /** Takes back what was handed over and not heard. */
  private drop(): void {
    const now = this.context.currentTime;
    this.fade(0);
    for (const { node } of this.blocks) {
      node.onended = null;
      node.stop(now + rampSeconds);
    }
    const before = this.gate;
    const last = this.blocks.at(-1)?.node;
    if (last === undefined) before.disconnect();
    else last.onended = () => before.disconnect();
    this.blocks = [];
    this.end = 0;
    this.gate = this.makeGate();
  }

  private planes(frames: number): Float32Array[] {
    return Array.from({ length: this.channels }, () => new Float32Array(frames));
  }

  /** Hands over blocks until there are enough, or there is nothing to mix. */
  private fill(): void {
    const { sampleRate: rate } = this.context;
    while (this.running && !this.closed && this.end < (this.context.currentTime + aheadSeconds) * rate) {
      if (this.blocks.length === 0 && this.fed.mixer.where() !== undefined && !this.fed.mixer.lasts(startSeconds * rate)) {
        if (!this.waits) this.tell({ is: "starved" });
        this.waits = true;
        return;
      }
      this.waits = false;
      // While there is time, it waits for what is being decoded rather than run dry of it.
      if (this.blocks.length > 1 && !this.fed.mixer.lasts(Math.round(blockSeconds * rate))) return;
      const block = this.mix();
      if (block === undefined) return;
      this.blocks.push(block);
      if (this.blocks.length === 1) this.begins(block);
    }
  }

  /** Mixes and hands over a block. Undefined where there is nothing for it. */
  private mix(): Block | undefined {
    const { sampleRate: rate } = this.context;
    const buffer = new AudioBuffer({ length: Math.round(blockSeconds * rate), numberOfChannels: this.channels, sampleRate: rate });
    const planes = Array.from({ length: this.channels }, (_, c) => buffer.getChannelData(c));
    const before = this.fed.mixer.where();
    const said: FromMixer[] = [];
    this.said = said;
    this.fed.mixer.render(planes);
    this.said = undefined;
    const after = this.fed.mixer.where();
    const first = said.filter((m) => m.is === "began" || m.is === "flows");
    const last = said.filter((m) => m.is === "starved" || m.is === "ended");
    if (before === undefined || (after?.id === before.id && after.frame === before.frame)) {
      // It is told when what was handed over is heard.
      const end = this.blocks.at(-1);
      if (end !== undefined) end.last.push(...said);
      else for (const m of said) this.tell(m);
      return undefined;
    }
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.gate);
    // Right behind the last one, unless the audio thread is there already.
    const soonest = Math.ceil(this.context.currentTime * rate);
    const from = this.end > soonest ? this.end : soonest + Math.ceil(leadSeconds * rate);
    node.start(from / rate);
    this.end = from + buffer.length;
    const block = { node, from, at: before, first, last };
    node.onended = () => this.ends(block);
    return block;
  }

  private begins(block: Block): void {
    if (block.at !== undefined) this.tell({ is: "at", ...block.at, time: block.from / this.context.sampleRate });
    for (const m of block.first) this.tell(m);
  }

  private ends(block: Block): void {
    const at = this.blocks.indexOf(block);
    if (at < 0) return;
    const { gate } = this;
    // The browser may have been too busy to tell of those before.
    const over = this.blocks.splice(0, at + 1);
    for (const b of over) {
      if (b !== over[0]) this.begins(b);
      for (const m of b.last) this.tell(m);
      if (gate !== this.gate || this.closed) return; // who was told went elsewhere
    }
    const [next] = this.blocks;
    if (next !== undefined) this.begins(next);
    this.fill();
  }
}
