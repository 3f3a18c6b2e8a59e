import { For, type JSX, onMount, Show } from "solid-js";
import { get, send } from "../api/client";
import { load } from "../api/state";
import type { Playlist, PlaylistItems, PlaylistReply, Track } from "../api/wire";
import { openDialog } from "../ui/dialog";
import { Await, complain, Cover, say } from "../ui/parts";
import { t } from "../words";
import { newPlaylist } from "./playlists";
import "./playlists.css";

type Entry = Pick<Track, "id" | "title">;

/** Lets somebody choose the playlist to which tracks are added, or make one; warns of what is in it already. */
export async function openAddToPlaylist(tracks: readonly Entry[]): Promise<void> {
  if (tracks.length === 0) return;
  const chosen = await openDialog<Playlist | "new">(t("lists.playlists.addTo"), (close) => <Pick count={tracks.length} choose={close} />);
  if (chosen === undefined) return;
  const ids = tracks.map((track) => track.id);
  if (chosen === "new") await newPlaylist(ids);
  else await addTo(chosen.id, ids);
}

function Pick(props: { count: number; choose: (list: Playlist | "new") => void }): JSX.Element {
  const lists = load<PlaylistItems>(() => ({ path: "playlists" }));
  // The one that was changed last is the one that is being made.
  const mine = () =>
    (lists.value()?.items ?? []).filter((p) => p.mine && p.imported !== true).toSorted((a, b) => (b.changed ?? "").localeCompare(a.changed ?? ""));
  return (
    <div class="stack">
      <p class="muted">{t("lists.playlists.addingTo", { count: props.count })}</p>
      <button type="button" class="button wide" onClick={() => props.choose("new")}>
        {t("lists.playlists.new")}
      </button>
      <Await value={lists.value()} error={lists.error()} retry={lists.retry}>
        {() => (
          <Show when={mine().length > 0}>
            <ul class="pick" role="list" aria-label={t("lists.playlists")}>
              <For each={mine()}>
                {(p) => (
                  <li>
                    <button type="button" onClick={() => props.choose(p)}>
                      <Cover id={p.id} has={p.trackCount > 0} name={p.name} size={44} />
                      <span>
                        <strong dir="auto">{p.name}</strong>
                        <small>{t("lists.tracks", { count: p.trackCount })}</small>
                      </span>
                    </button>
                  </li>
                )}
              </For>
            </ul>
          </Show>
        )}
      </Await>
    </div>
  );
}

/** Adds to the end of a playlist as it is now, and asks first where some of it is there already. */
async function addTo(playlist: string, ids: readonly string[]): Promise<void> {
  const path = `playlists/${encodeURIComponent(playlist)}`;
  const list = await get<PlaylistReply>(path);
  const there = new Set(list.tracks.map((track) => track.id));
  const fresh = ids.filter((id) => !there.has(id));
  let add: readonly string[] | undefined = ids;
  if (fresh.length < ids.length) add = await openDialog<readonly string[]>(t("lists.playlists.addTo"), (close) => <Duplicates list={list} ids={ids} fresh={fresh} close={close} />);
  if (add === undefined || add.length === 0) return;
  const put = (tracks: readonly string[], version: number) =>
    send<PlaylistReply>("PUT", path, { name: list.name, comment: list.comment, public: list.public, tracks, version });
  const before = list.tracks.map((track) => track.id);
  const after = await put([...before, ...add], list.version);
  say(t("lists.playlists.added", { name: list.name, count: add.length }), false, {
    name: t("lists.undo"),
    run: () => {
      put(before, after.version).catch(complain);
    },
  });
}

function Duplicates(props: { list: PlaylistReply; ids: readonly string[]; fresh: readonly string[]; close: (add?: readonly string[]) => void }): JSX.Element {
  let first!: HTMLButtonElement;
  const count = () => props.ids.length - props.fresh.length;
  onMount(() => first.focus());
  return (
    <div class="stack">
      <p>
        {props.ids.length === 1 ? t("lists.playlists.duplicateOne", { name: props.list.name }) : t("lists.playlists.duplicates", { count: count(), name: props.list.name })}
      </p>
      <div class="sheet-end">
        <button ref={first} type="button" class="button" onClick={() => props.close()}>
          {t("lists.cancel")}
        </button>
        <button type="button" class="button" onClick={() => props.close(props.ids)}>
          {t("lists.playlists.addAnyway")}
        </button>
        <Show when={props.fresh.length > 0}>
          <button type="button" class="button primary" onClick={() => props.close(props.fresh)}>
            {t("lists.playlists.addNew")}
          </button>
        </Show>
      </div>
    </div>
  );
}
