import { Mixer } from "./mix";
import type { FromMixer, Samples, Taken } from "./messages";

/** A mixer to which the decoding worker sends samples by a port of its own, and to which it gives back their memory. */
export class FedMixer {
  readonly mixer: Mixer;
  private samples: MessagePort | undefined;
  /** What goes back to the worker with the next word to it. */
  private spent: Float32Array[] = [];

  constructor(rate: number, tell: (what: FromMixer) => void) {
    this.mixer = new Mixer(rate, {
      began: (id) => tell({ is: "began", id }),
      flows: () => tell({ is: "flows" }),
      starved: () => tell({ is: "starved" }),
      ended: (id) => tell({ is: "ended", id }),
      consumed: (id, frames) => {
        const { spent } = this;
        this.spent = [];
        this.samples?.postMessage({ id, frames, spent } satisfies Taken, spent.map((p) => p.buffer as ArrayBuffer));
      },
      spent: (planes) => this.spent.push(...planes),
    });
  }

  /** Takes samples from a port, and says so each time. */
  connect(port: MessagePort, came: () => void = () => undefined): void {
    this.samples = port;
    port.onmessage = (event: MessageEvent<Samples>) => {
      const { id, planes, complete } = event.data;
      if (planes !== undefined) this.mixer.add(id, planes);
      if (complete) this.mixer.complete(id);
      came();
    };
  }
}
