import { type JSX, Show } from "solid-js";
import type { Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { t } from "../words";
import { clock, spoken } from "./format";
import { Menu, type MenuItem, type MenuOptions, openMenu } from "./menu";
import { Bars } from "./music";
import { complain, Cover, IconButton } from "./parts";
import { albumPath } from "./paths";
import { onMenu } from "./press";
import "./listrow.css";

/** The height of a row, in pixels. */
export const rowHeight = 56;

/** A track in a list that can be put in order. */
export function ListRow(props: {
  track: Track;
  current: boolean;
  playing: boolean;
  narrow?: boolean;
  onPlay: () => void;
  /** Left out where the list is only read. */
  removeLabel?: string;
  onRemove?: () => void;
  /** What the list adds to a track's own menu. */
  more?: () => readonly MenuItem[];
  handle: JSX.Element;
  readOnly?: boolean;
}): JSX.Element {
  const player = usePlayer();
  const items = async () => (await import("./actions")).trackItems(player, [props.track], { more: props.more?.() ?? [] });
  const label = () => t("library.moreOf", { name: props.track.title });
  const menu = (at: MenuOptions["at"]) => {
    items()
      .then((list) => openMenu({ label: label(), title: props.track.title, sub: props.track.artist, items: list, at }))
      .catch(complain);
  };
  return (
    <div ref={(el) => onMenu(el, menu)} class="list-row" classList={{ narrow: props.narrow ?? false, "read-only": props.readOnly ?? false }}>
      <span class="track-number" aria-hidden="true">
        <Cover id={props.track.albumId ?? props.track.id} has={props.track.hasCover} name={props.track.album ?? props.track.title} size={44} />
        <Show when={props.current}>
          <Bars still={!props.playing} />
        </Show>
      </span>
      <div class="track-main">
        <button
          type="button"
          class="track-title"
          dir="auto"
          disabled={props.track.missing}
          aria-label={t("lists.playTrack", { title: props.track.title, artist: props.track.artist })}
          aria-current={props.current ? "true" : undefined}
          onClick={() => props.onPlay()}
        >
          {props.track.title}
        </button>
        <span class="track-artist" dir="auto">
          {props.track.artist}
        </span>
      </div>
      <Show when={!props.narrow}>
        <span class="track-album" dir="auto">
          <Show when={props.track.albumId}>{(id) => <a href={href(albumPath(id()))}>{props.track.album}</a>}</Show>
        </span>
      </Show>
      <span class="track-actions">
        <Show when={props.onRemove}>{(remove) => <IconButton class="take-out" icon="remove" label={props.removeLabel ?? ""} onClick={() => remove()()} />}</Show>
        <Menu label={label()} title={props.track.title} sub={props.track.artist} items={items} />
      </span>
      <span class="track-time">
        <span aria-hidden="true">{clock(props.track.durationMs)}</span>
        <span class="visually-hidden">{spoken(props.track.durationMs)}</span>
      </span>
      {props.handle}
    </div>
  );
}
