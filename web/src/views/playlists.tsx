import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { get, send } from "../api/client";
import { can, load } from "../api/state";
import type { Playlist, PlaylistItems, PlaylistReply } from "../api/wire";
import { usePlayer } from "../player/context";
import { go, href } from "../router";
import { Form, openDialog } from "../ui/dialog";
import { GridWaiting } from "../ui/empty";
import { about } from "../ui/format";
import { Icon } from "../ui/icons";
import { Await, complain, Cover, Message, say } from "../ui/parts";
import { playlistPath } from "../ui/paths";
import { useTitle } from "../ui/title";
import { tag, t } from "../words";
import { importPlaylist } from "./playlistfile";
import "./playlists.css";

const orders = ["changed", "name", "tracks", "duration"] as const;
type Order = (typeof orders)[number];

function inOrder(list: readonly Playlist[], order: Order): Playlist[] {
  const names = new Intl.Collator(tag(), { numeric: true, sensitivity: "base" });
  const by: Record<Order, (a: Playlist, b: Playlist) => number> = {
    changed: (a, b) => (b.changed ?? "").localeCompare(a.changed ?? ""),
    name: (a, b) => names.compare(a.name, b.name),
    tracks: (a, b) => b.trackCount - a.trackCount,
    duration: (a, b) => b.durationMs - a.durationMs,
  };
  return list.toSorted((a, b) => by[order](a, b) || names.compare(a.name, b.name));
}

/** Letters with their marks taken off and in lower case, so that "Café" is found by "cafe". */
const plain = (s: string): string => s.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();

export function Playlists(): JSX.Element {
  useTitle(() => t("lists.playlists"));
  const loaded = load<PlaylistItems>(() => ({ path: "playlists" }));
  const [order, setOrder] = createSignal<Order>("changed");
  const [find, setFind] = createSignal("");
  let file!: HTMLInputElement;
  const shown = createMemo(() => {
    const wanted = plain(find().trim());
    return inOrder((loaded.value()?.items ?? []).filter((p) => plain(p.name).includes(wanted)), order());
  });
  const mine = () => shown().filter((p) => p.mine);
  const others = () => shown().filter((p) => !p.mine);
  const make = () => {
    newPlaylist([]).then((p) => p && go(playlistPath(p.id)), complain);
  };

  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("lists.playlists")}</h1>
          <p class="muted">{(loaded.value()?.items.length ?? 0) > 0 ? t("lists.playlists.count", { count: loaded.value()?.items.length ?? 0 }) : " "}</p>
        </div>
        <div class="playlists-tools">
          <Show when={(loaded.value()?.items.length ?? 0) > 8}>
            <input class="find" type="search" placeholder={t("lists.playlists.find")} aria-label={t("lists.playlists.find")} value={find()} onInput={(e) => setFind(e.currentTarget.value)} />
          </Show>
          <Show when={(loaded.value()?.items.length ?? 0) > 1}>
            <label class="choice">
              <span class="visually-hidden">{t("lists.playlists.order")}</span>
              <select onChange={(e) => setOrder(orders.find((o) => o === e.currentTarget.value) ?? "changed")}>
                <For each={orders}>{(o) => <option value={o} selected={o === order()}>{t(`lists.playlists.order.${o}`)}</option>}</For>
              </select>
            </label>
          </Show>
          <Show when={can("playlist")}>
            <input
              ref={file}
              class="hidden-file"
              type="file"
              tabindex="-1"
              accept=".m3u,.m3u8,audio/x-mpegurl,application/vnd.apple.mpegurl"
              aria-label={t("lists.playlists.import")}
              onChange={(e) => {
                const chosen = e.currentTarget.files?.[0];
                e.currentTarget.value = "";
                if (chosen !== undefined) importPlaylist(chosen).then((p) => p && go(playlistPath(p.id)), complain);
              }}
            />
            <button type="button" class="button" onClick={() => file.click()}>
              {t("lists.playlists.import")}
            </button>
            <button type="button" class="button primary" onClick={make}>
              <Icon name="add" /> {t("lists.playlists.new")}
            </button>
          </Show>
        </div>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry} waiting={<GridWaiting />}>
        {(r) => (
          <Show
            when={r().items.length > 0}
            fallback={
              <Message icon="queue" title={t("lists.playlists.none")}>
                <p>{t("lists.playlists.none.text")}</p>
              </Message>
            }
          >
            <Show when={shown().length > 0} fallback={<Message icon="search" title={t("lists.playlists.notFound")} />}>
              <Show when={mine().length > 0}>
                <section>
                  <Show when={others().length > 0}>
                    <h2>{t("lists.playlists.mine")}</h2>
                  </Show>
                  <ul class="grid" role="list" aria-label={t("lists.playlists.mine")}>
                    <For each={mine()}>{(p) => <li><PlaylistCard playlist={p} /></li>}</For>
                  </ul>
                </section>
              </Show>
              <Show when={others().length > 0}>
                <section>
                  <h2>{t("lists.playlists.others")}</h2>
                  <ul class="grid" role="list" aria-label={t("lists.playlists.others")}>
                    <For each={others()}>{(p) => <li><PlaylistCard playlist={p} /></li>}</For>
                  </ul>
                </section>
              </Show>
            </Show>
          </Show>
        )}
      </Await>
    </>
  );
}

export function PlaylistCard(props: { playlist: Playlist }): JSX.Element {
  const player = usePlayer();
  const play = () => {
    read(props.playlist.id).then((p) => player.play(p.tracks), complain);
  };
  return (
    <article class="card playlist-card">
      <div class="card-picture">
        <a href={href(playlistPath(props.playlist.id))} tabindex="-1" aria-hidden="true">
          <Cover id={props.playlist.id} has={props.playlist.trackCount > 0} name={props.playlist.name} size={240} />
        </a>
        <Show when={props.playlist.trackCount > 0}>
          <button type="button" class="card-play" aria-label={t("lists.playNamed", { name: props.playlist.name })} onClick={play}>
            <Icon name="play" />
          </button>
        </Show>
      </div>
      <a class="card-title" dir="auto" href={href(playlistPath(props.playlist.id))} title={props.playlist.name}>
        {props.playlist.name}
      </a>
      <p>
        {t("lists.tracks", { count: props.playlist.trackCount })}
        <Show when={props.playlist.trackCount > 0}> · {about(props.playlist.durationMs)}</Show>
        <Show when={!props.playlist.mine}> · {t("lists.playlists.by", { owner: props.playlist.owner })}</Show>
      </p>
    </article>
  );
}

const read = (id: string) => get<PlaylistReply>(`playlists/${encodeURIComponent(id)}`);

/** Asks for a name and makes a playlist of tracks; undefined where somebody thought better of it. */
export function newPlaylist(tracks: readonly string[], suggested = ""): Promise<PlaylistReply | undefined> {
  const [name, setName] = createSignal(suggested);
  const [comment, setComment] = createSignal("");
  const [open, setOpen] = createSignal(false);
  let made: PlaylistReply | undefined;
  return openDialog<PlaylistReply>(t("lists.playlists.new"), (close) => (
    <Form
      action={t("lists.playlists.create")}
      disabled={name().trim() === ""}
      submit={async () => {
        made = await send<PlaylistReply>("POST", "playlists", { name: name().trim(), comment: comment().trim(), public: open(), tracks });
        say(t("lists.playlists.made", { name: made.name }));
      }}
      close={() => close(made)}
    >
      <PlaylistFields name={name()} setName={setName} comment={comment()} setComment={setComment} public={open()} setPublic={setOpen} />
    </Form>
  ));
}

export function PlaylistFields(props: {
  name: string;
  setName: (v: string) => void;
  comment: string;
  setComment: (v: string) => void;
  public: boolean;
  setPublic: (v: boolean) => void;
}): JSX.Element {
  return (
    <>
      <label class="field">
        {t("lists.playlists.name")}
        <input required maxlength="200" dir="auto" autocomplete="off" autofocus value={props.name} onInput={(e) => props.setName(e.currentTarget.value)} />
      </label>
      <label class="field">
        {t("lists.playlists.description")}
        <textarea rows="3" maxlength="2000" dir="auto" value={props.comment} onInput={(e) => props.setComment(e.currentTarget.value)} />
      </label>
      <label class="tick">
        <input type="checkbox" checked={props.public} onChange={(e) => props.setPublic(e.currentTarget.checked)} />
        <span>
          {t("lists.playlists.makePublic")}
          <small>{t("lists.playlists.makePublic.text")}</small>
        </span>
      </label>
    </>
  );
}
