import type { FromRoom, Sound, ToRoom } from "./messages";
import { Steering } from "./steer";

// TypeScript's library describes windows and workers, not this scope (Web Audio API, §1.32).
declare const sampleRate: number;
declare const currentFrame: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** A room's sound on the audio thread. Samples come to it straight from the worker, so the page may be as busy as it likes. */
class RoomProcessor extends AudioWorkletProcessor {
  private readonly steering = new Steering(2);
  private epoch = 0;
  private ended = false;
  private sounding = false;
  private told = 0;
  /** Since it was told. */
  private sum = 0;
  private blocks = 0;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<ToRoom>) => this.do(event.data);
  }

  private do(m: ToRoom): void {
    switch (m.do) {
      case "connect":
        m.port.onmessage = (event: MessageEvent<Sound>) => this.hear(event.data);
        break;
      case "line":
        if (m.epoch === this.epoch) this.steering.steer(m);
        break;
      case "end":
        this.ended = true;
    }
  }

  private hear(m: Sound): void {
    switch (m.do) {
      case "epoch":
        this.epoch = m.epoch;
        this.steering.lose();
        break;
      case "clear":
        this.steering.clear();
        break;
      case "add":
        this.steering.add(m.at, m.planes);
    }
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0];
    if (out === undefined) return !this.ended;
    this.steering.render(out, currentFrame, sampleRate);
    if (this.steering.sounding) {
      this.sum += this.steering.off;
      this.blocks++;
    }
    if (this.steering.sounding !== this.sounding || currentFrame - this.told >= sampleRate) {
      this.told = currentFrame;
      this.sounding = this.steering.sounding;
      const offMs = this.blocks === 0 ? 0 : (this.sum / this.blocks / sampleRate) * 1000;
      this.sum = this.blocks = 0;
      this.port.postMessage({ offMs, faster: this.steering.faster, aheadMs: this.steering.ahead * 1000, sounding: this.sounding } satisfies FromRoom);
    }
    return !this.ended;
  }
}

registerProcessor("room", RoomProcessor);
