import type { Component } from "solid-js";
import { type Chunk, chunk, present } from "./ui/chunk";
import { Home } from "./views/home";

/** What every view is given. */
export interface ViewProps {
  /** What the view is of, such as an album's id; "" for a view that is of nothing in particular. */
  id: string;
  onSignOut: () => void;
  onHelp: () => void;
}

/** A view of the page: /view, or /view/id where it is of something. */
export interface Route {
  readonly view: string;
  /** Whether the address goes on with the id of what it shows. */
  readonly of: boolean;
  readonly chunk: Chunk<ViewProps>;
}

/** A view whose code is fetched when somebody first goes there, or before, when there is nothing else to do. */
const later = (view: string, of: boolean, component: () => Promise<Component<ViewProps>>): Route => ({ view, of, chunk: chunk(component) });

/** Every address of the page. What the first view needs is part of the page; the rest comes when it is gone to. */
export const routes: readonly Route[] = [
  { view: "", of: false, chunk: present(Home) },
  later("albums", false, async () => (await import("./views/albums")).Albums),
  later("album", true, async () => (await import("./views/album")).AlbumView),
  later("artists", false, async () => (await import("./views/artists")).Artists),
  later("artist", true, async () => (await import("./views/artist")).ArtistView),
  later("tracks", false, async () => (await import("./views/tracks")).Tracks),
  later("genres", false, async () => (await import("./views/genres")).Genres),
  later("genre", true, async () => (await import("./views/genres")).GenreView),
  later("folders", false, async () => (await import("./views/folders")).Folders),
  later("folders", true, async () => (await import("./views/folders")).FolderView),
  later("search", false, async () => (await import("./views/search")).Search),
  later("similar", true, async () => (await import("./views/similar")).Similar),
  later("starred", false, async () => (await import("./views/starred")).Starred),
  later("playing", false, async () => (await import("./views/playing")).NowPlaying),
  later("playlists", false, async () => (await import("./views/playlists")).Playlists),
  later("playlist", true, async () => (await import("./views/playlist")).PlaylistView),
  later("shares", false, async () => (await import("./views/shares")).Shares),
  later("rooms", false, async () => (await import("./views/rooms")).Rooms),
  later("rooms", true, async () => (await import("./views/room")).RoomView),
  later("radio", false, async () => (await import("./views/radio")).Radio),
  later("carbon", false, async () => (await import("./views/carbon")).Carbon),
  later("offline", false, async () => (await import("./views/offline")).Offline),
  later("review", false, async () => (await import("./views/review")).Review),
  later("review", true, async () => (await import("./views/review")).Review),
  later("settings", false, async () => (await import("./views/settings")).Settings),
  later("settings", true, async () => (await import("./views/settings")).Settings),
];

export const routeOf = (view: string, id: string): Route | undefined => routes.find((r) => r.view === view && r.of === (id !== ""));

/**
 * Fetches the other views' code once the browser has nothing to do, so that going there waits for no file and works when
 * the connection has gone meanwhile. Who saves data is not made to pay for views they may never see.
 */
export function fetchViewsWhenIdle(): void {
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData) return;
  const waiting = routes.filter((r) => r.chunk.ready() === undefined);
  // One after the other: what somebody presses meanwhile goes first.
  const next = () => {
    const route = waiting.shift();
    // A failure shows when somebody goes there, where it is tried again.
    if (route !== undefined) whenIdle(() => void route.chunk.load().then(next, () => undefined));
  };
  next();
}

/** Safari has no requestIdleCallback; there a second after the last file is as good a guess as any. */
function whenIdle(fn: () => void): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(fn, { timeout: 5_000 });
  else setTimeout(fn, 1_000);
}
