import { FedMixer } from "./fed";
import type { FromMixer, ToMixer } from "./messages";

// TypeScript's library describes windows and workers, not this scope (Web Audio API, §1.32).
declare const sampleRate: number;
declare const currentTime: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** The mixer on the audio thread. Samples come to it straight from the decoding worker, so the page may be as busy as it likes. */
class MixerProcessor extends AudioWorkletProcessor {
  private told = 0;
  private every = 0.25;
  private readonly fed = new FedMixer(sampleRate, (what) => this.tell(what));
  private readonly mixer = this.fed.mixer;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<ToMixer>) => this.do(event.data);
  }

  private tell(what: FromMixer): void {
    this.port.postMessage(what);
  }

  private do(m: ToMixer): void {
    switch (m.do) {
      case "connect":
        this.fed.connect(m.port);
        break;
      case "cut":
        this.mixer.cut(m.id, m.frame, m.gain);
        this.told = 0;
        break;
      case "follow":
        this.mixer.follow(m.id, m.overlapFrames, m.gain);
        break;
      case "regain":
        this.mixer.regain(m.id, m.gain);
        break;
      case "play":
        this.mixer.play();
        break;
      case "pause":
        this.mixer.pause(() => this.tell({ is: "paused" }));
        break;
      case "every":
        this.every = m.seconds;
    }
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0];
    if (out === undefined) return true;
    this.mixer.render(out);
    if (currentTime - this.told >= this.every) {
      this.told = currentTime;
      const at = this.mixer.where();
      if (at !== undefined) this.tell({ is: "at", ...at, time: currentTime + (out[0]?.length ?? 0) / sampleRate });
    }
    return true;
  }
}

registerProcessor("mixer", MixerProcessor);
