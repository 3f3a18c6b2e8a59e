import { For, type JSX, Show } from "solid-js";
import { read } from "../api/state";
import type { Album, AlbumReply, ArtistRef, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { clock, spoken, year } from "./format";
import { Icon } from "./icons";
import { complain, Cover, IconButton, say, StarButton } from "./parts";

export const albumPath = (id: string): string => `/album/${encodeURIComponent(id)}`;
export const artistPath = (id: string): string => `/artist/${encodeURIComponent(id)}`;

/** A whole credit, whose artists are links where the credit is just their names. */
export function Credit(props: { text: string; artists: readonly ArtistRef[] }): JSX.Element {
  const only = () => (props.artists.length === 1 ? props.artists[0] : undefined);
  return (
    <Show
      when={only()}
      fallback={
        <Show when={props.artists.length > 1} fallback={props.text}>
          <For each={props.artists}>
            {(a, i) => (
              <>
                <Show when={i() > 0}>, </Show>
                <a href={href(artistPath(a.id))}>{a.name}</a>
              </>
            )}
          </For>
        </Show>
      }
    >
      {(a) => <a href={href(artistPath(a().id))}>{props.text || a().name}</a>}
    </Show>
  );
}

export function AlbumCard(props: { album: Album; showYear?: boolean }): JSX.Element {
  const player = usePlayer();
  const play = () => {
    read<AlbumReply>(`albums/${encodeURIComponent(props.album.id)}`).then((a) => player.play(a.tracks), complain);
  };
  return (
    <article class="card">
      <div class="card-picture">
        <a href={href(albumPath(props.album.id))} tabindex="-1" aria-hidden="true">
          <Cover id={props.album.id} has={props.album.hasCover} name={props.album.name} size={240} />
        </a>
        <button type="button" class="card-play" aria-label={`Play ${props.album.name}`} onClick={play}>
          <Icon name="play" />
        </button>
      </div>
      <a class="card-title" href={href(albumPath(props.album.id))} title={props.album.name}>
        {props.album.name}
      </a>
      <p>{props.showYear ? year(props.album.originalDate ?? props.album.date) || props.album.artist : props.album.artist}</p>
    </article>
  );
}

/** A list of tracks. Pressing a title plays the list from there. */
export function TrackList(props: { tracks: readonly Track[]; label: string; numbered?: boolean; showAlbum?: boolean; albumArtist?: string }): JSX.Element {
  const player = usePlayer();
  return (
    <ol class="tracks" aria-label={props.label}>
      <For each={props.tracks}>
        {(t, i) => {
          const playsNow = () => player.current()?.track.id === t.id;
          return (
            <li class="track" classList={{ current: playsNow(), playing: playsNow() && player.state.playing, missing: t.missing ?? false }}>
              <span class="track-number" aria-hidden="true">
                <Show when={props.numbered} fallback={<Cover id={t.albumId ?? t.id} has={t.hasCover} name={t.album ?? t.title} size={44} />}>
                  <Show when={playsNow()} fallback={t.track ?? i() + 1}>
                    <Bars still={!player.state.playing} />
                  </Show>
                </Show>
              </span>
              <div class="track-main">
                <button
                  type="button"
                  class="track-title"
                  disabled={t.missing}
                  aria-label={`Play ${t.title} by ${t.artist}`}
                  aria-current={playsNow() ? "true" : undefined}
                  onClick={() => player.play(props.tracks, i())}
                >
                  {t.title}
                </button>
                <Show when={!props.numbered || t.artist !== props.albumArtist}>
                  <span class="track-artist">{t.artist}</span>
                </Show>
              </div>
              <Show when={props.showAlbum}>
                <span class="track-album">
                  <Show when={t.albumId}>{(id) => <a href={href(albumPath(id()))}>{t.album}</a>}</Show>
                </span>
              </Show>
              <span class="track-actions">
                <IconButton
                  class="add"
                  icon="add"
                  label={`Add ${t.title} to the queue`}
                  onClick={() => {
                    player.addLast([t]);
                    say(`Added “${t.title}” to the queue`);
                  }}
                />
                <StarButton thing={t} name={t.title} />
              </span>
              <span class="track-time">
                <span aria-hidden="true">{clock(t.durationMs)}</span>
                <span class="visually-hidden">{spoken(t.durationMs)}</span>
              </span>
            </li>
          );
        }}
      </For>
    </ol>
  );
}

/** Four bars that dance while music plays, as our sign has them. */
export function Bars(props: { still: boolean }): JSX.Element {
  return (
    <span class="bars" classList={{ still: props.still }}>
      <i />
      <i />
      <i />
      <i />
    </span>
  );
}
