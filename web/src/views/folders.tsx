import { createEffect, For, type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { Folder, FolderItems, FolderReply } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { EmptyLibrary } from "../ui/empty";
import { about } from "../ui/format";
import { Icon } from "../ui/icons";
import { TrackList } from "../ui/music";
import { Await, Message } from "../ui/parts";
import { folderPath } from "../ui/paths";
import { useTitle } from "../ui/title";
import { t } from "../words";
import "./folders.css";

export function Folders(): JSX.Element {
  useTitle(() => t("library.foldersTitle"));
  const roots = load<FolderItems>(() => ({ path: "folders" }));
  return (
    <>
      <Await value={roots.value()} error={roots.error()} retry={roots.retry}>
        {(r) => (
          <Show when={r().items.length > 0} fallback={<EmptyLibrary />}>
            <Show
              when={r().items.length === 1 ? r().items[0] : undefined}
              fallback={
                <>
                  <header class="view-head">
                    <h1>{t("library.foldersTitle")}</h1>
                  </header>
                  <FolderList folders={r().items} />
                </>
              }
            >
              {/* Whoever has one library has no use for a list of one. */}
              {(only) => <FolderView id={only().id} />}
            </Show>
          </Show>
        )}
      </Await>
    </>
  );
}

function FolderList(props: { folders: readonly Folder[] }): JSX.Element {
  return (
    <ul class="folder-grid" role="list" aria-label={t("library.foldersTitle")}>
      <For each={props.folders}>
        {(f) => (
          <li>
            <a class="folder-tile" href={href(folderPath(f.id))}>
              <Icon name="folders" />
              <span dir="auto">{f.name}</span>
            </a>
          </li>
        )}
      </For>
    </ul>
  );
}

export function FolderView(props: { id: string }): JSX.Element {
  const player = usePlayer();
  const loaded = load<FolderReply>(() => ({ path: `folders/${encodeURIComponent(props.id)}` }));
  useTitle(() => loaded.value()?.name ?? t("library.foldersTitle"));
  createEffect(() => {
    // The deepest part of the way here is what is looked for.
    if (loaded.value() !== undefined) queueMicrotask(() => document.querySelector(".crumbs li:last-child")?.scrollIntoView({ block: "nearest", inline: "end" }));
  });
  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(f) => {
        const duration = () => f().tracks.reduce((ms, x) => ms + x.durationMs, 0);
        return (
          <>
            <nav class="crumbs" aria-label={t("library.wayHere")}>
              <ol>
                <li>
                  <a href={href("/folders")}>{t("library.foldersTitle")}</a>
                </li>
                <For each={f().parents}>
                  {(p) => (
                    <li>
                      <Icon name="forward" />
                      <a href={href(folderPath(p.id))} dir="auto">
                        {p.name}
                      </a>
                    </li>
                  )}
                </For>
              </ol>
            </nav>
            <header class="view-head">
              <div>
                <h1 dir="auto">{f().name}</h1>
                <p class="muted">
                  {[
                    f().folders.length > 0 ? t("library.folders", { count: f().folders.length }) : "",
                    f().tracks.length > 0 ? `${t("lists.tracks", { count: f().tracks.length })}, ${about(duration())}` : "",
                  ]
                    .filter((x) => x !== "")
                    .join(" · ")}
                </p>
              </div>
              <Show when={f().tracks.length > 0}>
                <div class="choices">
                  <button type="button" class="button primary" onClick={() => player.play(f().tracks.filter((x) => !x.missing))}>
                    <Icon name="play" /> {t("library.play")}
                  </button>
                  <button type="button" class="button" onClick={() => player.playShuffled(f().tracks.filter((x) => !x.missing))}>
                    <Icon name="shuffle" /> {t("library.shuffle")}
                  </button>
                </div>
              </Show>
            </header>
            <Show when={f().folders.length > 0}>
              <section class="folder-folders">
                <FolderList folders={f().folders} />
              </section>
            </Show>
            <Show when={f().tracks.length > 0}>
              <section>
                <TrackList tracks={f().tracks} listKey={f().id} label={t("library.tracksOf", { name: f().name })} showAlbum />
              </section>
            </Show>
            <Show when={f().folders.length + f().tracks.length === 0}>
              <Message icon="folders" title={t("library.emptyFolder")}>
                <p>{t("library.emptyFolderMore")}</p>
              </Message>
            </Show>
          </>
        );
      }}
    </Await>
  );
}
