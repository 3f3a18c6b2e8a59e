import type { Track } from "../api/wire";
import type { Shape } from "./formats";

/** An entry of the queue as an engine needs it. */
export interface Item {
  /** The queue entry. */
  readonly key: number;
  readonly track: Track;
  readonly shape: Shape;
  /** The factor that evens out loudness; 1 leaves every bit as it is. */
  readonly gain: number;
}

/** What an engine tells the player. Keys are the queue entries'. */
export interface Listener {
  /** Where the music is; four times a second at most while it plays. */
  position(ms: number, bufferedMs: number): void;
  /** Sound comes out. */
  sounding(): void;
  /** Sound is wanted, but the bytes are not here. */
  waiting(): void;
  /** It went on by itself into the item that it was told to follow with. */
  wentOn(key: number): void;
  /** The item ended and nothing follows. */
  ended(): void;
  /** The system stopped the sound: a call, another app, unplugged headphones. */
  interrupted(): void;
  /**
   * It cannot go on with an item. format: the browser cannot play it. network: the bytes do not come. gesture: the
   * browser wants a person to press something first.
   */
  failed(key: number, why: "format" | "network" | "gesture"): void;
}

/** A way to make sound: a pair of media elements, or Web Audio. */
export interface Engine {
  /** Plays, or only makes ready, this item instead of whatever there was. */
  load(item: Item, fromMs: number, play: boolean): void;
  /** What to go on with when the current item ends; overlapMs of its end sound together with it, where the engine can. */
  follow(item: Item | undefined, overlapMs: number): void;
  play(): void;
  pause(): void;
  seek(ms: number): void;
  position(): number;
  /** Changes the loudness factor of an item that is loaded or follows. */
  regain(key: number, gain: number): void;
  /** 0 to 1, reached within overMs. */
  setVolume(volume: number, overMs?: number): void;
  /** Playback rate, the pitch kept. */
  setSpeed(speed: number): void;
  /** The spectrum of this moment, 0 to 255 a band from low to high; undefined where nothing sounds or it cannot be told. */
  levels(): Uint8Array | undefined;
  /** Stops and lets go of what it plays. */
  unload(): void;
  /** Ends it for good. */
  dispose(): void;
}
