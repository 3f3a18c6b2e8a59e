import { createEffect, createSignal, For, type JSX, on, onCleanup, Show } from "solid-js";
import { isStarred, read, toggleStar } from "../api/state";
import type { Album, AlbumReply, ArtistRef, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { t } from "../words";
import { clock, spoken, year } from "./format";
import { Icon } from "./icons";
import { type ListHandle, VirtualList } from "./list";
import { Menu, type MenuOptions, openMenu, warmMenus } from "./menu";
import "./music.css";
import { createWhole, type Paged, pageSize } from "./paging";
import { complain, Cover, say } from "./parts";
import { albumPath, artistPath } from "./paths";
import { onMenu } from "./press";

export { albumPath, artistPath } from "./paths";

const actions = () => import("./actions");

/** A whole credit, whose artists are links where the credit is just their names. */
export function Credit(props: { text: string; artists: readonly ArtistRef[]; tabindex?: number }): JSX.Element {
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
                <a href={href(artistPath(a.id))} tabindex={props.tabindex} dir="auto">
                  {a.name}
                </a>
              </>
            )}
          </For>
        </Show>
      }
    >
      {(a) => (
        <a href={href(artistPath(a().id))} tabindex={props.tabindex} dir="auto">
          {props.text || a().name}
        </a>
      )}
    </Show>
  );
}

/** An album in a grid or on a shelf. below is the line under its title: its artist, unless said otherwise. */
export function AlbumCard(props: { album: Album; showYear?: boolean; below?: string; size?: number }): JSX.Element {
  const player = usePlayer();
  const play = () => {
    read<AlbumReply>(`albums/${encodeURIComponent(props.album.id)}`).then((a) => player.play(a.tracks.filter((x) => !x.missing)), complain);
  };
  const items = async () => (await actions()).albumItems(player, props.album);
  const sub = () => props.below ?? (props.showYear ? year(props.album.originalDate ?? props.album.date) : "");
  const menu = (at: MenuOptions["at"]) => {
    items()
      .then((list) => openMenu({ label: t("library.moreOf", { name: props.album.name }), title: props.album.name, sub: props.album.artist, items: list, at }))
      .catch(complain);
  };
  return (
    <article class="card" classList={{ missing: props.album.missing ?? false }} ref={(el) => onMenu(el, menu)}>
      <div class="card-picture">
        <a href={href(albumPath(props.album.id))} tabindex="-1" aria-hidden="true" draggable={false}>
          <Cover id={props.album.id} has={props.album.hasCover} name={props.album.name} size={props.size ?? 240} />
        </a>
        <button type="button" class="card-play" aria-label={t("library.playThis", { name: props.album.name })} onClick={play}>
          <Icon name="play" />
        </button>
        <Menu class="card-more" label={t("library.moreOf", { name: props.album.name })} title={props.album.name} sub={props.album.artist} items={items} />
      </div>
      <a class="card-title" data-card href={href(albumPath(props.album.id))} title={props.album.name} dir="auto">
        {props.album.name}
      </a>
      <p dir="auto">
        <Show when={sub() !== ""} fallback={<Credit text={props.album.artist} artists={props.album.artists} tabindex={-1} />}>
          {sub()}
        </Show>
      </p>
    </article>
  );
}

/** How many tracks after the one that was chosen are queued from a list too long to be queued as a whole. */
const queued = 500;

/** How many tracks one selection may span. */
const mostChosen = 2_000;

export interface TrackListProps {
  /** The list as a whole, or … */
  tracks?: readonly Track[];
  /** … as pages of a longer one. */
  paged?: Paged<Track>;
  /** Changes when the list is another one. */
  listKey?: string;
  label: string;
  /** By number, as an album has them, instead of by picture. */
  numbered?: boolean;
  showAlbum?: boolean;
  /** Of whom the list is: a track by just them does not say so again. */
  albumArtist?: string;
  /** One more column, on wide screens: what the list is in order of. */
  extra?: ((track: Track) => string) | undefined;
  inAlbum?: boolean;
  inArtist?: string;
  /** What pressing a track plays, where that is more than this list: an album of which this is one disc. */
  queue?: readonly Track[];
}

/**
 * A list of tracks. Pressing one plays the list from there; Ctrl or Shift and pressing, the box at a row's beginning, x or
 * Shift and arrows select several, for which a bar of actions comes. Every row has a menu.
 */
export function TrackList(props: TrackListProps): JSX.Element {
  const player = usePlayer();
  const whole = createWhole(() => props.tracks ?? []);
  const list = (): Paged<Track> => props.paged ?? whole;
  const [chosen, setChosen] = createSignal<ReadonlyMap<number, Track>>(new Map());
  let anchor = 0;
  let handle!: ListHandle;
  let box!: HTMLDivElement;
  createEffect(
    on(
      () => [props.listKey, props.tracks],
      () => setChosen(new Map()),
      { defer: true },
    ),
  );

  const play = async (index: number) => {
    const one = list().at(index);
    if (one === undefined || one.missing) return;
    const { paged } = props;
    if (paged === undefined) {
      const all = (props.queue ?? props.tracks ?? []).filter((x) => !x.missing);
      player.play(all, Math.max(0, all.indexOf(one)));
      return;
    }
    // At once what is here; the rest follows while that begins.
    const pageEnd = (Math.floor(index / pageSize) + 1) * pageSize;
    const here = await paged.some(index, pageEnd);
    player.play(here.filter((x) => !x.missing));
    const begun = player.state.queue.entries;
    const rest = await paged.some(pageEnd, index + queued);
    if (player.state.queue.entries.length === begun.length && player.state.queue.entries[0]?.key === begun[0]?.key) player.addLast(rest.filter((x) => !x.missing));
  };

  const toggle = (index: number) => {
    const one = list().at(index);
    if (one === undefined) return;
    const next = new Map(chosen());
    if (!next.delete(index)) next.set(index, one);
    anchor = index;
    setChosen(next);
  };
  const extend = async (to: number) => {
    const from = Math.min(anchor, to);
    const end = Math.max(anchor, to) + 1;
    if (end - from > mostChosen) {
      say(t("library.tooMany", { count: mostChosen }), true);
      return;
    }
    const got = await list().some(from, end);
    setChosen(new Map(got.map((x, i) => [from + i, x])));
  };
  const inOrder = () => [...chosen()].sort(([a], [b]) => a - b).map(([, x]) => x);

  const items = async (index: number) => {
    const one = list().at(index);
    if (one === undefined) return [];
    const several = chosen().has(index) && chosen().size > 1;
    const { trackItems } = await actions();
    return trackItems(player, several ? inOrder() : [one], {
      ...(props.inAlbum === undefined ? {} : { inAlbum: props.inAlbum }),
      ...(props.inArtist === undefined ? {} : { inArtist: props.inArtist }),
      ...(chosen().size === 0 ? { select: () => toggle(index) } : {}),
    });
  };

  const onClick = (e: MouseEvent) => {
    if (!(e.target instanceof Element) || e.target.closest("a, input, .song-actions") !== null) return;
    const index = handle.indexOf(e.target);
    if (index === undefined) return;
    // A key's click has no detail: it plays, whatever is selected.
    const byMouse = e.detail > 0;
    if (byMouse && e.shiftKey) extend(index).catch(complain);
    else if (byMouse && (e.ctrlKey || e.metaKey || chosen().size > 0)) toggle(index);
    else {
      anchor = index;
      play(index).catch(complain);
    }
  };
  const onKeyDown = (e: KeyboardEvent, index: number) => {
    const up = e.key === "ArrowUp";
    if (e.shiftKey && (up || e.key === "ArrowDown")) {
      const to = index + (up ? -1 : 1);
      if (chosen().size === 0) anchor = index;
      handle.focus(to);
      extend(Math.min(Math.max(0, to), list().total() - 1)).catch(complain);
    } else if (e.key === "x" && !e.ctrlKey && !e.metaKey && !e.altKey) {
      toggle(index);
    } else if (e.key === "a" && (e.ctrlKey || e.metaKey)) {
      anchor = 0;
      extend(list().total() - 1).catch(complain);
    } else if (e.key === "Escape" && chosen().size > 0) {
      setChosen(new Map());
    } else {
      return;
    }
    e.preventDefault();
    e.stopPropagation();
  };

  return (
    <div
      ref={(el) => {
        box = el;
        onMenu(el, (at, target) => {
          const index = handle.indexOf(target);
          const one = index === undefined ? undefined : list().at(index);
          if (index === undefined || one === undefined) return;
          items(index)
            .then((all) => openMenu({ label: t("library.moreOf", { name: one.title }), title: one.title, sub: one.artist, items: all, at: at instanceof Element ? (at.closest("[data-index]") ?? at) : at }))
            .catch(complain);
        });
      }}
      class="songs"
      classList={{ choosing: chosen().size > 0, wide: props.showAlbum ?? false, "with-extra": props.extra !== undefined }}
      onPointerEnter={warmMenus}
    >
      <VirtualList items={list()} {...(props.listKey === undefined ? {} : { listKey: props.listKey })} rowHeight={props.numbered ? 3.4 : 3.8} label={props.label} ref={(h) => (handle = h)} onKeyDown={onKeyDown} onClick={onClick}>
        {(x, row) => {
          const playsNow = () => player.current()?.track.id === x.id;
          const stop = () => (row.active() ? 0 : -1);
          const on = () => isStarred(x);
          return (
            <div class="song" classList={{ current: playsNow(), missing: x.missing ?? false, chosen: chosen().has(row.index) }}>
              <label class="song-check">
                <input type="checkbox" aria-label={t("library.selectThis", { name: x.title })} checked={chosen().has(row.index)} tabindex={stop()} onClick={(e) => { if (e.shiftKey) { e.preventDefault(); extend(row.index).catch(complain); } }} onChange={() => toggle(row.index)} />
              </label>
              <span class="song-lead" aria-hidden="true">
                <Show when={props.numbered} fallback={<Cover id={x.albumId ?? x.id} has={x.hasCover} name={x.album ?? x.title} size={44} />}>
                  <span class="song-number">{x.track ?? row.index + 1}</span>
                </Show>
                <Show when={playsNow()} fallback={<Icon name="play" />}>
                  <Bars still={!player.state.playing} />
                </Show>
              </span>
              <div class="song-main">
                <button type="button" class="song-title" data-row tabindex={stop()} disabled={x.missing} aria-label={t("library.playTrack", { title: x.title, artist: x.artist })} aria-current={playsNow() ? "true" : undefined} dir="auto">
                  {x.title}
                </button>
                <Show when={x.explicit === "explicit"}>
                  <abbr class="song-explicit" title={t("library.explicit")}>E</abbr>
                </Show>
                <Show when={!props.numbered || x.artist !== props.albumArtist}>
                  <span class="song-artist" dir="auto">
                    <Credit text={x.artist} artists={x.artists} tabindex={-1} />
                  </span>
                </Show>
              </div>
              <Show when={props.showAlbum}>
                <span class="song-album" dir="auto">
                  <Show when={x.albumId}>
                    {(id) => (
                      <a href={href(albumPath(id()))} tabindex="-1">
                        {x.album}
                      </a>
                    )}
                  </Show>
                </span>
              </Show>
              <Show when={props.extra}>{(extra) => <span class="song-extra">{extra()(x)}</span>}</Show>
              <span class="song-actions">
                <button
                  type="button"
                  class="icon-button add"
                  tabindex={stop()}
                  aria-label={t("library.addThisToQueue", { name: x.title })}
                  title={t("library.addToQueue")}
                  onClick={() => {
                    player.addLast([x]);
                    say(t("library.queued", { what: `“${x.title}”` }));
                  }}
                >
                  <Icon name="add" />
                </button>
                <button type="button" class="icon-button star" tabindex={stop()} aria-pressed={on()} aria-label={t("library.starThis", { name: x.title })} title={t("library.star")} onClick={() => { toggleStar(x).catch(complain); }}>
                  <Icon name="star" filled={on()} />
                </button>
                <Menu label={t("library.moreOf", { name: x.title })} title={x.title} sub={x.artist} tabindex={stop()} items={() => items(row.index)} />
              </span>
              <span class="song-time">
                <span aria-hidden="true">{clock(x.durationMs)}</span>
                <span class="visually-hidden">{spoken(x.durationMs)}</span>
              </span>
            </div>
          );
        }}
      </VirtualList>
      <Show when={chosen().size > 0}>
        <Chosen
          tracks={inOrder()}
          onClear={() => {
            setChosen(new Map());
            box.querySelector<HTMLElement>("[data-row][tabindex='0']")?.focus({ preventScroll: true });
          }}
        />
      </Show>
    </div>
  );
}

/** What can be done with the tracks that are selected, above the player. */
function Chosen(props: { tracks: readonly Track[]; onClear: () => void }): JSX.Element {
  const player = usePlayer();
  const what = () => t("lists.tracks", { count: props.tracks.length });
  const act = (run: (a: typeof import("./actions")) => unknown) => () => {
    actions()
      .then((a) => run(a))
      .then(() => props.onClear())
      .catch(complain);
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key !== "Escape") return;
    e.stopPropagation();
    props.onClear();
  };
  // The bar must not cover what scrolls under it.
  document.documentElement.classList.add("choosing");
  onCleanup(() => document.documentElement.classList.remove("choosing"));
  return (
    <div class="chosen-bar" role="group" aria-label={t("library.selection")} onKeyDown={keys}>
      <button type="button" class="icon-button" aria-label={t("library.clearSelection")} title={t("library.clearSelection")} onClick={() => props.onClear()}>
        <Icon name="remove" />
      </button>
      <strong role="status">{t("library.selected", { count: props.tracks.length })}</strong>
      <button type="button" class="button primary small" onClick={act((a) => player.play(a.playable(props.tracks)))}>
        <Icon name="play" /> <span>{t("library.play")}</span>
      </button>
      <button type="button" class="button small" onClick={act((a) => a.queueNext(player, props.tracks, what()))}>
        <Icon name="playnext" /> <span>{t("library.playNext")}</span>
      </button>
      <button type="button" class="button small" onClick={act((a) => a.queueLast(player, props.tracks, what()))}>
        <Icon name="queue" /> <span>{t("library.addToQueue")}</span>
      </button>
      <Menu label={t("library.moreOf", { name: what() })} title={what()} items={async () => (await actions()).trackItems(player, props.tracks)} />
    </div>
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
