import { createResource, For, type JSX, onMount, Show } from "solid-js";
import { findKept, isComplete, keptAlbum, keptAlbums, type KeptAlbum, room } from "../offline/kept";
import { canKeep } from "../offline/worker";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { bytes } from "../ui/format";
import { drop, keep } from "../ui/keep";
import { albumPath } from "../ui/music";
import { complain, Cover, IconButton, Message } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t, tag } from "../words";
import "./offline.css";

/** What is kept on this device, how much room it takes, and what plays without a connection. */
export function Offline(): JSX.Element {
  useTitle(() => t("house.kept"));
  const player = usePlayer();
  onMount(() => void findKept().catch(complain));
  const list = () => keptAlbums().sort((a, b) => a.album.name.localeCompare(b.album.name, tag()));
  // Measured again whenever an album has come or gone.
  const [space, { refetch }] = createResource(() => (canKeep ? `${list().length} ${list().reduce((n, a) => n + a.tracks, 0)}` : undefined), room);
  const state = (kept: KeptAlbum) =>
    kept.progress !== undefined
      ? t("house.keeping", { part: kept.progress.toLocaleString(tag(), { style: "percent" }) })
      : isComplete(kept)
        ? `${t("lists.tracks", { count: kept.tracks })} · ${bytes(kept.bytes)}`
        : t("house.partlyKept", { tracks: kept.tracks, of: kept.album.tracks.length });

  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("house.kept")}</h1>
          <Show when={list().length > 0}>
            <p class="muted">{t("house.keptAlbums", { count: list().length })}</p>
          </Show>
        </div>
      </header>
      <Show
        when={canKeep}
        fallback={
          <Message icon="warning" title={t("house.cannotKeep")}>
            <p>{t("house.cannotKeepHint")}</p>
          </Message>
        }
      >
        <Show when={space()}>
          {(s) => (
            <section class="room" aria-label={t("house.storage")}>
              <p>
                <strong>{t("house.used", { used: bytes(s().used) })}</strong>
                <span class="muted">{t("house.ofRoom", { quota: bytes(s().quota) })}</span>
              </p>
              <meter min="0" max={Math.max(1, s().quota)} high={s().quota * 0.9} value={s().used} aria-label={t("house.storage")}>
                {t("house.used", { used: bytes(s().used) })}
              </meter>
              <Show when={list().length > 0}>
                <p class="hint">
                  {t(s().lasting ? "house.lasting" : "house.notLasting")}{" "}
                  <Show when={!s().lasting}>
                    <button
                      type="button"
                      class="button small"
                      onClick={() => {
                        navigator.storage.persist().then(refetch, complain);
                      }}
                    >
                      {t("house.askLasting")}
                    </button>
                  </Show>
                </p>
              </Show>
            </section>
          )}
        </Show>
        <Show
          when={list().length > 0}
          fallback={
            <Message icon="offline" title={t("house.nothingKept")} action={<a class="button" href={href("/albums")}>{t("house.toAlbums")}</a>}>
              <p>{t("house.nothingKeptHint")}</p>
            </Message>
          }
        >
          <ul class="kept" aria-label={t("house.keptLabel")}>
            <For each={list().map((k) => k.album.id)}>
              {(id) => (
                <Show when={keptAlbum(id)}>
                  {(kept) => (
                    <li>
                      <Cover id={id} has={kept().album.hasCover} name={kept().album.name} size={96} />
                      <div class="kept-text">
                        <a href={href(albumPath(id))} dir="auto">
                          {kept().album.name}
                        </a>
                        <p class="muted" dir="auto">
                          {kept().album.artist}
                        </p>
                        <p class="hint">{state(kept())}</p>
                        <Show when={kept().progress !== undefined}>
                          <progress max="1" value={kept().progress} aria-label={t("house.keepName", { name: kept().album.name })} />
                        </Show>
                      </div>
                      <div class="kept-actions">
                        <Show when={kept().progress === undefined && !isComplete(kept())}>
                          <IconButton icon="refresh" label={t("house.goOnKeeping", { name: kept().album.name })} onClick={() => keep(id, kept().album.name)} />
                        </Show>
                        <IconButton icon="play" label={t("house.playName", { name: kept().album.name })} onClick={() => player.play(kept().album.tracks)} />
                        <IconButton icon="trash" label={t("house.dropName", { name: kept().album.name })} onClick={() => drop(id, kept().album.name)} />
                      </div>
                    </li>
                  )}
                </Show>
              )}
            </For>
          </ul>
        </Show>
      </Show>
    </>
  );
}
