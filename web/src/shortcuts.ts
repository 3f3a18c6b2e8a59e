import { send } from "./api/client";
import { toggleStar } from "./api/state";
import type { Player } from "./player/player";
import { go } from "./router";
import type { Key } from "./words";

/** What a key does, for the handler and for the list of them. */
export interface Shortcut {
  /** KeyboardEvent.key, or two of them pressed one after the other. */
  readonly keys: readonly string[];
  /** How the list writes it, where that is not the keys themselves; {…} is a key of words. */
  readonly shown: readonly string[];
  readonly what: Key;
  readonly run: (at: Reach, key: string) => void;
  /** A focused button, link or slider has these keys to itself. */
  readonly yields?: "buttons" | "sliders";
}

/** What shortcuts act on. */
export interface Reach {
  readonly player: Player;
  readonly search: () => void;
  readonly help: () => void;
  readonly failed: (cause: unknown) => void;
}

const stepMs = 5_000;
const volumeStep = 0.05;

const letter = (key: string, what: Key, run: Shortcut["run"]): Shortcut => ({ keys: [key], shown: [key.toUpperCase()], what, run });
const to = (key: string, what: Key, path: string): Shortcut => ({ keys: [`g ${key}`], shown: ["G", key.toUpperCase()], what, run: () => go(path) });

/** Every shortcut there is, in the groups in which they are listed. */
export const shortcuts: readonly { readonly title: Key; readonly list: readonly Shortcut[] }[] = [
  {
    title: "house.keysPlaying",
    list: [
      { keys: [" "], shown: ["{space}"], what: "house.keyToggle", yields: "buttons", run: ({ player }) => player.toggle() },
      {
        keys: ["ArrowLeft", "ArrowRight"],
        shown: ["←", "→"],
        what: "house.keySeek",
        yields: "sliders",
        run: ({ player }, key) => player.seek(player.state.positionMs + (key === "ArrowLeft" ? -stepMs : stepMs)),
      },
      letter("n", "house.keyNext", ({ player }) => player.next()),
      letter("p", "house.keyPrevious", ({ player }) => player.previous()),
      {
        keys: ["+", "-"],
        shown: ["+", "−"],
        what: "house.keyVolume",
        run: ({ player }, key) => player.setVolume(player.state.volume + (key === "+" ? volumeStep : -volumeStep)),
      },
      letter("m", "house.keyMute", ({ player }) => player.toggleMute()),
      letter("r", "house.keyRepeat", ({ player }) => player.cycleRepeat()),
      letter("x", "house.keyShuffle", ({ player }) => player.shuffle()),
      letter("s", "house.keyStar", ({ player, failed }) => {
        const track = player.current()?.track;
        if (track !== undefined) toggleStar(track).catch(failed);
      }),
      {
        keys: ["0", "1", "2", "3", "4", "5"],
        shown: ["0", "…", "5"],
        what: "house.keyRate",
        run: ({ player, failed }, key) => {
          const track = player.current()?.track;
          if (track !== undefined) send("PUT", `ratings/${encodeURIComponent(track.id)}`, { rating: Number(key) }, true).catch(failed);
        },
      },
    ],
  },
  {
    title: "house.keysGoing",
    list: [
      { keys: ["/"], shown: ["/"], what: "house.search", run: ({ search }) => search() },
      letter("q", "house.keyQueue", () => go("/playing")),
      letter("l", "lists.lyrics", () => go("/playing?panel=lyrics")),
      to("h", "house.home", "/"),
      to("a", "house.albums", "/albums"),
      to("r", "house.artists", "/artists"),
      to("t", "house.tracks", "/tracks"),
      to("e", "house.genres", "/genres"),
      to("f", "house.folders", "/folders"),
      to("p", "house.playlists", "/playlists"),
      to("s", "house.starred", "/starred"),
      to("d", "house.radio", "/radio"),
      to("o", "house.settings", "/settings"),
      { keys: ["?"], shown: ["?"], what: "house.keyHelp", run: ({ help }) => help() },
    ],
  },
];

const all: readonly Shortcut[] = shortcuts.flatMap((group) => group.list);

/** How long after the first of two keys the second one counts, in milliseconds. */
const pairMs = 1_500;

/** Finds what keys mean, pressed one after the other. It keeps the first of a pair; nothing ticks meanwhile. */
export function keyReader(): (key: string, atMs: number) => Shortcut | undefined {
  let first = "";
  let firstAtMs = 0;
  return (key, atMs) => {
    const pair = first !== "" && atMs - firstAtMs <= pairMs ? all.find((s) => s.keys.includes(`${first} ${key}`)) : undefined;
    first = all.some((s) => s.keys.some((k) => k.startsWith(`${key} `))) ? key : "";
    firstAtMs = atMs;
    return pair ?? all.find((s) => s.keys.includes(key));
  };
}

/** Whether a shortcut is a character by itself, which WCAG 2.1.4 wants to be possible to turn off. */
export const isCharacter = (key: string): boolean => key.length === 1 && key !== " ";
