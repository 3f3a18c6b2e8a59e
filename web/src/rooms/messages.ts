import type { ClockLine } from "./clockline";

/** What the page, the worker that hears a room and the audio thread say to one another. */

/** From the page to the worker. */
export type ToWorker =
  /** Join: `origin` is the page's performance.timeOrigin, so that both count time from the same moment; `port` leads to the audio thread. */
  | { do: "join"; url: string; formats: readonly Format[]; origin: number; port: MessagePort }
  | { do: "report"; errorUs: number; boundUs: number }
  | { do: "leave" };

export type Format = "flac" | "pcm";

/** What the room says of this player. */
export interface MemberSettings {
  readonly room: string;
  readonly volume: number;
  readonly muted: boolean;
  readonly latencyMs: number;
}

/** From the worker to the page. */
export type FromWorker =
  /** The connection is there; `epoch` counts them, as each has a clock of its own. */
  | { is: "joined"; epoch: number }
  | { is: "settings"; settings: MemberSettings }
  | { is: "clock"; epoch: number; line: ClockLine }
  /** The connection was lost and is tried again. */
  | { is: "lost" }
  /** This player has connected from elsewhere: it is over. */
  | { is: "replaced" };

/** From the worker to the audio thread, by a port of their own. */
export type Sound =
  | { do: "epoch"; epoch: number }
  /** Other sound follows. */
  | { do: "clear" }
  | { do: "add"; at: number; planes: Float32Array[] };

/** From the page to the audio thread. */
export type ToRoom =
  | { do: "connect"; port: MessagePort }
  | { do: "line"; epoch: number; frame: number; server: number; perFrame: number }
  | { do: "end" };

/** From the audio thread to the page, about once a second and when sound begins or ends. */
export interface FromRoom {
  /** How far off it plays by what it was told, in ms; positive is late. */
  readonly offMs: number;
  /** How much faster than the recording. */
  readonly faster: number;
  readonly aheadMs: number;
  readonly sounding: boolean;
}
