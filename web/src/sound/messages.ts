/** What the page, the decoding worker and the audio thread say to one another. Segments are numbered as in Mixer. */

/** From the page to the audio thread. */
export type ToMixer =
  | { do: "connect"; port: MessagePort }
  | { do: "cut"; id: number; frame: number; gain: number }
  | { do: "follow"; id: number; overlapFrames: number; gain: number }
  | { do: "regain"; id: number; gain: number }
  | { do: "play" }
  | { do: "pause" }
  /** How often to tell where it is. */
  | { do: "every"; seconds: number };

/** From the audio thread to the page. */
export type FromMixer =
  /** `frame` is the track's that is played at `time` of the audio context. */
  | { is: "at"; id: number; frame: number; buffered: number; time: number }
  | { is: "began"; id: number }
  | { is: "flows" }
  | { is: "starved" }
  | { is: "ended"; id: number }
  | { is: "paused" };

/** From the worker to the audio thread, by a port of their own. */
export interface Samples {
  id: number;
  planes?: Float32Array[];
  /** These are the last. */
  complete?: boolean;
}

/** From the audio thread back: so many frames need no memory any more, and what they lay in, to be used again. */
export interface Taken {
  id: number;
  frames: number;
  spent: Float32Array[];
}

/** A track as the worker fetches it. */
export interface Wanted {
  id: number;
  /** Which audio thread's port its samples go to. */
  output: number;
  /** The output's, in Hz. */
  sampleRate: number;
  channels: number;
  url: string;
  /** Where a transcode that is still being made can be had from further in: this with offsetMs added. */
  offsetUrl: string;
  fromMs: number;
}

/** From the page to the worker. */
export type ToWorker =
  | { do: "output"; output: number; port: MessagePort }
  | { do: "close"; output: number }
  /** Decode this now, and nothing else. `from` is a segment of the same track whose demuxer and connection can go on. */
  | { do: "load"; wanted: Wanted; from: number }
  /** Decode this when what was loaded is decoded to its end; undefined for nothing. */
  | { do: "follow"; wanted: Wanted | undefined }
  /** This is what is heard now: what followed, by itself or because somebody skipped to it. */
  | { do: "heard"; id: number }
  | { do: "stop" };

/** From the worker to the page. */
export type FromWorker =
  /** What comes is not of the rate or has more channels than the output that it was to go to. */
  | { is: "shape"; id: number; sampleRate: number; channels: number }
  /** format: this cannot be decoded here. network: it does not come. */
  | { is: "failed"; id: number; why: "format" | "network" };
