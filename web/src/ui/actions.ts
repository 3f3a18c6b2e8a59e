import { base, get } from "../api/client";
import { can, isStarred, rate, ratingOf, read, toggleStar } from "../api/state";
import type { Album, AlbumReply, Track, TrackItems, TrackWindow } from "../api/wire";
import type { Player } from "../player/player";
import { t } from "../words";
import type { MenuItem } from "./menu";
import { complain, say } from "./parts";
import { albumPath, artistPath, similarPath } from "./paths";

/** How many tracks a radio made from something begins with. */
const radioLength = 60;

const path = (kind: string, id: string) => `${kind}/${encodeURIComponent(id)}`;

export const tracksOfAlbum = async (id: string): Promise<Track[]> => (await read<AlbumReply>(path("albums", id))).tracks;

/** An artist's tracks, as many as a queue takes at once. */
export const tracksOfArtist = async (id: string): Promise<Track[]> => (await read<TrackWindow>("tracks", { artist: id, limit: 500 })).items;

export const playable = (tracks: readonly Track[]): Track[] => tracks.filter((x) => !x.missing);

/** Plays what sounds like something, and begins with it where it is a track. */
export async function playRadio(player: Player, id: string, seed?: Track): Promise<void> {
  const { items } = await get<TrackItems>(path("similar", id), { limit: radioLength });
  const list = seed === undefined ? items : [seed, ...items.filter((x) => x.id !== seed.id)];
  if (list.length === 0) {
    say(t("library.radioNothing"));
    return;
  }
  player.play(list);
}

export function queueNext(player: Player, tracks: readonly Track[], what: string): void {
  player.addNext(playable(tracks));
  say(t("library.playsNext", { what }));
}

export function queueLast(player: Player, tracks: readonly Track[], what: string): void {
  player.addLast(playable(tracks));
  say(t("library.queued", { what }));
}

const openAddToPlaylist = async (tracks: readonly Track[]): Promise<void> => (await import("../views/addtoplaylist")).openAddToPlaylist(tracks);
const openPlayInRoom = async (tracks: readonly string[]): Promise<void> => (await import("../views/playinroom")).openPlayInRoom(tracks);
const openShare = async (ids: readonly string[], name: string): Promise<void> => (await import("../views/sharedialog")).openShare(ids, name);

/** Saves originals as files; the browser asks once before it saves several. */
export function download(tracks: readonly Track[]): void {
  for (const x of tracks) {
    const a = document.createElement("a");
    a.href = `${base}/api/v1/${path("tracks", x.id)}/download`;
    a.download = "";
    a.click();
  }
}

/** Saves an album's originals as one ZIP file. */
export function downloadAlbum(id: string): void {
  const a = document.createElement("a");
  a.href = `${base}/api/v1/${path("albums", id)}/download`;
  a.download = "";
  a.click();
}

/** As many files as one press saves: each is a request of its own. */
export const mostDownloads = 30;

/** Whoever picks several things means each of them: stars all, or unstars all where all have one. */
export async function starAll(things: readonly { id: string; starred?: string }[]): Promise<void> {
  const on = !things.every(isStarred);
  for (const x of things) if (isStarred(x) !== on) await toggleStar(x);
}

const rating = (thing: { id: string; rating?: number }): MenuItem => ({
  label: t("library.rating"),
  rating: {
    now: ratingOf(thing),
    set: (stars) => {
      rate(thing, stars).catch(complain);
    },
  },
});

const nameOf = (tracks: readonly Track[]): string => (tracks.length === 1 ? `“${tracks[0]?.title ?? ""}”` : t("lists.tracks", { count: tracks.length }));

export interface TrackMenu {
  /** Leaves out the way to where the reader is. */
  readonly inAlbum?: boolean;
  readonly inArtist?: string;
  /** Begins to select several, from this one. */
  readonly select?: () => void;
  /** What the list around adds, such as removing from it. */
  readonly more?: readonly MenuItem[];
}

/** What can be done with one track, or with several. */
export function trackItems(player: Player, tracks: readonly Track[], options: TrackMenu = {}): MenuItem[] {
  const one = tracks.length === 1 ? tracks[0] : undefined;
  const what = nameOf(tracks);
  const items: MenuItem[] = [
    { label: t("library.play"), icon: "play", run: () => player.play(playable(tracks)) },
    { label: t("library.playNext"), icon: "playnext", run: () => queueNext(player, tracks, what) },
    { label: t("library.addToQueue"), icon: "queue", run: () => queueLast(player, tracks, what) },
  ];
  if (can("stream")) items.push({ label: t("rooms.inRoom"), icon: "rooms", run: () => openPlayInRoom(playable(tracks).map((x) => x.id)) });
  if (can("playlist")) items.push({ label: t("library.addToPlaylist"), icon: "playlists", run: () => openAddToPlaylist(tracks) });
  if (one !== undefined) {
    items.push({ label: t("library.radioFromHere"), icon: "radio", run: () => playRadio(player, one.id, one) }, { label: t("library.sonic.show"), icon: "sound", to: similarPath(one.id) });
  }
  if (can("comment")) {
    items.push({ label: t(tracks.every(isStarred) ? "library.unstar" : "library.star"), icon: "star", apart: true, run: () => starAll(tracks) });
    if (one !== undefined) items.push(rating(one));
  }
  if (one !== undefined) {
    const places: MenuItem[] = [];
    if (!options.inAlbum && one.albumId !== undefined) places.push({ label: t("library.goToAlbum"), icon: "albums", to: albumPath(one.albumId) });
    for (const a of one.artists.slice(0, 3)) {
      if (a.id !== options.inArtist) places.push({ label: one.artists.length > 1 ? t("library.goTo", { name: a.name }) : t("library.goToArtist"), icon: "artists", to: artistPath(a.id) });
    }
    if (one.folderId !== undefined) places.push({ label: t("library.goToFolder"), icon: "folders", to: `/folders/${encodeURIComponent(one.folderId)}` });
    items.push(...places.map((p, i) => ({ ...p, apart: i === 0 })));
  }
  const last: MenuItem[] = [];
  if (options.select !== undefined) last.push({ label: t("library.select"), icon: "check", run: options.select });
  if (can("share")) last.push({ label: t("library.share"), icon: "share", run: () => openShare(tracks.map((x) => x.id), one?.title ?? "") });
  if (can("download") && tracks.length <= mostDownloads) last.push({ label: t("library.download"), icon: "download", run: () => download(tracks) });
  last.push(...(options.more ?? []));
  items.push(...last.map((p, i) => ({ ...p, apart: i === 0 })));
  return items;
}

/** What can be done with an album. */
export function albumItems(player: Player, album: Album | AlbumReply, here = false): MenuItem[] {
  const tracks = () => tracksOfAlbum(album.id);
  const what = `“${album.name}”`;
  const items: MenuItem[] = [];
  if (!here) {
    items.push(
      { label: t("library.play"), icon: "play", run: async () => player.play(playable(await tracks())) },
      { label: t("library.shuffle"), icon: "shuffle", run: async () => player.playShuffled(playable(await tracks())) },
    );
  }
  items.push(
    { label: t("library.playNext"), icon: "playnext", run: async () => queueNext(player, await tracks(), what) },
    { label: t("library.addToQueue"), icon: "queue", run: async () => queueLast(player, await tracks(), what) },
  );
  if (can("stream")) items.push({ label: t("rooms.inRoom"), icon: "rooms", run: async () => openPlayInRoom(playable(await tracks()).map((x) => x.id)) });
  if (can("playlist")) items.push({ label: t("library.addToPlaylist"), icon: "playlists", run: async () => openAddToPlaylist(await tracks()) });
  items.push({ label: t("library.radioFromHere"), icon: "radio", run: () => playRadio(player, album.id) }, { label: t("library.sonic.show"), icon: "sound", to: similarPath(album.id) });
  if (can("comment") && !here) {
    items.push({ label: t(isStarred(album) ? "library.unstar" : "library.star"), icon: "star", apart: true, run: () => toggleStar(album) }, rating(album));
  }
  const last: MenuItem[] = [];
  if (!here) last.push({ label: t("library.goToAlbum"), icon: "albums", to: albumPath(album.id) });
  for (const a of album.artists.slice(0, 3)) {
    last.push({ label: album.artists.length > 1 ? t("library.goTo", { name: a.name }) : t("library.goToArtist"), icon: "artists", to: artistPath(a.id) });
  }
  if (can("share")) last.push({ label: t("library.share"), icon: "share", run: () => openShare([album.id], album.name) });
  if (can("download") && !album.missing) last.push({ label: t("library.downloadAlbum"), icon: "download", run: () => downloadAlbum(album.id) });
  items.push(...last.map((p, i) => ({ ...p, apart: i === 0 })));
  return items;
}

/** What can be done with an artist. */
export function artistItems(player: Player, artist: { id: string; name: string; starred?: string; rating?: number }): MenuItem[] {
  const tracks = () => tracksOfArtist(artist.id);
  const items: MenuItem[] = [
    { label: t("library.play"), icon: "play", run: async () => player.play(playable(await tracks())) },
    { label: t("library.shuffle"), icon: "shuffle", run: async () => player.playShuffled(playable(await tracks())) },
    { label: t("library.addToQueue"), icon: "queue", run: async () => queueLast(player, await tracks(), artist.name) },
  ];
  if (can("playlist")) items.push({ label: t("library.addToPlaylist"), icon: "playlists", run: async () => openAddToPlaylist(await tracks()) });
  items.push({ label: t("library.radioFromHere"), icon: "radio", run: () => playRadio(player, artist.id) });
  if (can("comment")) items.push({ label: t(isStarred(artist) ? "library.unstar" : "library.star"), icon: "star", apart: true, run: () => toggleStar(artist) }, rating(artist));
  return items;
}
