import { type Component, lazy } from "solid-js";
import { Albums } from "./views/albums";

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
  readonly component: Component<ViewProps>;
}

/** A view whose code is fetched when somebody first goes there. */
const later = (view: string, of: boolean, component: () => Promise<Component<ViewProps>>): Route => ({
  view,
  of,
  component: lazy(async () => ({ default: await component() })),
});

/** Every address of the page. What the first view needs is part of the page; the rest comes when it is gone to. */
export const routes: readonly Route[] = [
  { view: "", of: false, component: Albums },
  later("album", true, async () => (await import("./views/album")).AlbumView),
  later("artists", false, async () => (await import("./views/artists")).Artists),
  later("artist", true, async () => (await import("./views/artists")).ArtistView),
  later("search", false, async () => (await import("./views/search")).Search),
  later("starred", false, async () => (await import("./views/search")).Starred),
  later("playing", false, async () => (await import("./views/playing")).NowPlaying),
  later("settings", false, async () => (await import("./views/settings")).Settings),
];
