import type { FromMixer, ToMixer } from "./messages";
import mixerUrl from "./mixer.worklet.ts?worker&url";
import { PageMixer } from "./pagemixer";

/** Longer than the fade with which the mixer pauses, in ms. */
const drainMs = 60;

/** One AudioContext at a track's own rate, so that nothing is resampled on our side, with the mixer in it. */
export class Output {
  readonly context: AudioContext;
  private readonly volume: GainNode;
  private node: AudioWorkletNode | undefined;
  /** In its place where the page is not in a secure context. */
  private page: PageMixer | undefined;
  private analyser: AnalyserNode | undefined;
  private asked = 0;
  private bins = new Uint8Array(0);
  /** What is to be said once the worklet is there. */
  private early: { m: ToMixer; transfer: Transferable[] }[] = [];
  private closed = false;
  private wantsPlay = false;
  /** Told to sleep; the context says so only later. */
  private asleep = false;
  /** The worklet could not be had, or died: nothing will sound here. */
  broken = false;

  constructor(
    readonly number: number,
    readonly sampleRate: number,
    readonly channels: number,
    private readonly on: (m: FromMixer) => void,
    private readonly failed: () => void,
  ) {
    this.context = new AudioContext({ sampleRate, latencyHint: "playback" });
    const { destination } = this.context;
    if (channels > 2) destination.channelCount = Math.min(channels, destination.maxChannelCount);
    this.volume = this.context.createGain();
    this.volume.connect(destination);
    if (!("audioWorklet" in this.context)) {
      this.page = new PageMixer(this.context, channels, this.volume, (m) => this.told(m));
      return;
    }
    void this.begin().catch(() => this.breaks());
  }

  private async begin(): Promise<void> {
    await this.context.audioWorklet.addModule(mixerUrl);
    if (this.closed) return;
    const node = new AudioWorkletNode(this.context, "mixer", { numberOfInputs: 0, outputChannelCount: [this.channels] });
    node.port.onmessage = (event: MessageEvent<FromMixer>) => this.told(event.data);
    node.onprocessorerror = () => this.breaks();
    node.connect(this.volume);
    this.node = node;
    for (const { m, transfer } of this.early) node.port.postMessage(m, transfer);
    this.early = [];
  }

  private told(m: FromMixer): void {
    if (this.closed) return;
    if (m.is === "paused") this.sleep();
    else this.on(m);
    if (this.analyser !== undefined && performance.now() - this.asked > 1_000) this.deafen();
  }

  private breaks(): void {
    this.broken = true;
    if (!this.closed) this.failed();
  }

  say(m: ToMixer, transfer: Transferable[] = []): void {
    if (this.page !== undefined) this.page.say(m);
    else if (this.node === undefined) this.early.push({ m, transfer });
    else this.node.port.postMessage(m, transfer);
  }

  /** Resolves to whether the browser lets it sound; it may want a person's gesture first. */
  async play(): Promise<boolean> {
    this.wantsPlay = true;
    this.say({ do: "play" });
    if (this.context.state === "running" && !this.asleep) return true;
    this.asleep = false;
    const resumed = this.context.resume().then(
      () => true,
      () => false,
    );
    // A promise that a browser keeps open until somebody presses something says so only by not being kept.
    if ("userActivation" in navigator && !navigator.userActivation.hasBeenActive) return false;
    return resumed;
  }

  /** The mixer fades out; then the context sleeps, and nothing runs. */
  pause(): void {
    this.wantsPlay = false;
    this.say({ do: "pause" });
  }

  private sleep(): void {
    if (this.wantsPlay || this.closed) return;
    this.asleep = true;
    void this.context.suspend();
  }

  setVolume(to: number, overMs: number): void {
    const { gain } = this.volume;
    const now = this.context.currentTime;
    gain.cancelScheduledValues(now);
    // A ramp would be heard when the sound begins.
    if (gain.value === to || this.context.state !== "running") {
      gain.value = to;
      return;
    }
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(to, now + Math.max(0.02, overMs / 1000));
  }

  /** Seconds from a sample's leaving the mixer to the ear, as far as the browser knows. */
  get latency(): number {
    const { outputLatency, baseLatency } = this.context as { outputLatency?: number; baseLatency: number };
    return outputLatency ?? baseLatency;
  }

  levels(): Uint8Array {
    this.asked = performance.now();
    if (this.analyser === undefined) {
      this.analyser = this.context.createAnalyser();
      this.analyser.fftSize = 128;
      this.bins = new Uint8Array(this.analyser.frequencyBinCount);
      this.volume.connect(this.analyser);
    }
    this.analyser.getByteFrequencyData(this.bins);
    return this.bins;
  }

  private deafen(): void {
    if (this.analyser !== undefined) this.volume.disconnect(this.analyser);
    this.analyser = undefined;
  }

  /** Fades out, lets what was mixed reach the ear, and ends. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    const end = () => {
      this.node?.port.close();
      this.page?.close();
      void this.context.close();
    };
    if ((this.node === undefined && this.page === undefined) || this.context.state !== "running") {
      end();
      return;
    }
    this.say({ do: "pause" });
    setTimeout(end, drainMs + this.latency * 1000);
  }
}
