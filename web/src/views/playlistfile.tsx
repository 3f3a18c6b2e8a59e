import { For } from "solid-js";
import { base, send } from "../api/client";
import type { ImportReply, PlaylistReply } from "../api/wire";
import { openDialog } from "../ui/dialog";
import { say } from "../ui/parts";
import { t } from "../words";

/** Above this a file is no playlist, in bytes. */
const largest = 4_000_000;

/** Saves a playlist as an M3U8 file, under the name that the server gives it. */
export function downloadFile(id: string): void {
  const a = document.createElement("a");
  a.href = `${base}/api/v1/playlists/${encodeURIComponent(id)}/m3u`;
  a.download = "";
  a.click();
}

/**
 * The text of a playlist file. M3U8 is UTF-8; M3U is what the maker's system wrote, of which Windows-1252 is the most
 * common where it is not valid UTF-8.
 */
export function textOf(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** Makes a playlist out of a file, and tells what of it could not be found. */
export async function importPlaylist(file: File): Promise<PlaylistReply | undefined> {
  if (file.size > largest) throw new Error(t("lists.playlists.tooLarge"));
  const name = file.name.replace(/\.m3u8?$/i, "");
  const made = await send<ImportReply>("POST", "playlists/import", { name, m3u: textOf(await file.arrayBuffer()) });
  if (made.missing.length === 0) {
    say(t("lists.playlists.imported", { name: made.playlist.name, count: made.playlist.trackCount }));
    return made.playlist;
  }
  await openDialog(t("lists.playlists.missing", { name: made.playlist.name, count: made.missing.length }), (close) => (
    <div class="stack">
      <p>{t("lists.playlists.missing.text")}</p>
      {/* Lines of a file, so that they can be scrolled by keyboard the box takes the focus. */}
      <ul class="lines" role="list" tabindex="0" aria-label={t("lists.playlists.missing.text")}>
        <For each={made.missing}>{(entry) => <li dir="auto">{entry.title === undefined ? entry.path : `${entry.title} (${entry.path})`}</li>}</For>
      </ul>
      <div class="sheet-end">
        <button type="button" class="button primary" onClick={() => close()}>
          {t("lists.close")}
        </button>
      </div>
    </div>
  ));
  return made.playlist;
}
