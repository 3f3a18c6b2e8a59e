import { createEffect, on } from "solid-js";
import { coverUrl } from "../api/client";
import type { Player } from "./player";

/** The sizes that systems ask for: a notification's, a lock screen's and a television's. */
const artworkSizes = [96, 256, 512];

/** More than the time between two reports of the position at double speed. */
const jumpMs = 1_500;

/** Tells the system what plays, and lets its media keys and lock screen work the player. */
export function connectMediaSession(player: Player): { update: () => void; position: () => void } {
  const session = "mediaSession" in navigator ? navigator.mediaSession : undefined;
  const { state } = player;
  const actions: [MediaSessionAction, MediaSessionActionHandler][] = [
    ["play", () => !state.playing && player.toggle()],
    ["pause", () => state.playing && player.toggle()],
    ["stop", () => state.playing && player.toggle()],
    ["nexttrack", () => player.next()],
    ["previoustrack", () => player.previous()],
    ["seekto", (d) => d.seekTime !== undefined && player.seek(d.seekTime * 1000)],
    ["seekforward", (d) => player.seek(player.position() + (d.seekOffset ?? 10) * 1000)],
    ["seekbackward", (d) => player.seek(player.position() - (d.seekOffset ?? 10) * 1000)],
  ];
  for (const [action, handler] of actions) {
    try {
      session?.setActionHandler(action, handler);
    } catch {
      // A browser may not know every action; the others still work.
    }
  }
  const position = () => {
    if (session === undefined) return;
    const { durationMs, speed, station } = state;
    if (station !== undefined || durationMs <= 0) session.setPositionState();
    else session.setPositionState({ duration: durationMs / 1000, position: Math.min(Math.max(0, player.position()), durationMs) / 1000, playbackRate: speed });
  };
  // The system counts on by itself, so it is told of jumps and changes of pace only.
  createEffect(
    on(
      () => state.positionMs,
      (now, before) => {
        if (before !== undefined && Math.abs(now - before) > jumpMs) position();
      },
    ),
  );
  createEffect(on([() => state.speed, () => state.durationMs, () => state.waiting], position));

  return {
    update() {
      if (session === undefined) return;
      const { station } = state;
      const track = player.current()?.track;
      session.playbackState = station === undefined && track === undefined ? "none" : state.playing ? "playing" : "paused";
      if (station !== undefined) session.metadata = new MediaMetadata({ title: station.name });
      else if (track === undefined) session.metadata = null;
      else {
        const id = track.albumId ?? track.id;
        session.metadata = new MediaMetadata({
          title: track.title,
          artist: track.artist,
          album: track.album ?? "",
          artwork: track.hasCover ? artworkSizes.map((n) => ({ src: coverUrl(id, n), sizes: `${n}x${n}` })) : [],
        });
      }
    },
    position,
  };
}
