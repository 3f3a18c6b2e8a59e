import { createEffect, createMemo, createSignal, type JSX, on, Show } from "solid-js";
import { ApiError, send } from "../api/client";
import { can, load } from "../api/state";
import type { PlaylistReply, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { go, href } from "../router";
import { confirm, Form, openDialog } from "../ui/dialog";
import { SortableList } from "../ui/drag";
import { about, day } from "../ui/format";
import { Icon } from "../ui/icons";
import { ListRow, rowHeight } from "../ui/listrow";
import { Menu, type MenuItem } from "../ui/menu";
import { moved } from "../ui/order";
import { Await, complain, Cover, Message, say } from "../ui/parts";
import { playlistPath } from "../ui/paths";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";
import { tag, t } from "../words";
import { downloadFile } from "./playlistfile";
import { PlaylistFields } from "./playlists";
import { type Sort, sorted, sorts, withoutDuplicates } from "./playlistorder";
import { openShare } from "./sharedialog";

/** A track in a playlist; the same one may stand in it twice. */
interface Row {
  readonly track: Track;
}

export function PlaylistView(props: { id: string }): JSX.Element {
  const loaded = load<PlaylistReply>(() => ({ path: `playlists/${encodeURIComponent(props.id)}` }));
  useTitle(() => loaded.value()?.name ?? t("lists.playlist"));
  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(list) => <Page list={list()} reload={loaded.retry} />}
    </Await>
  );
}

function Page(props: { list: PlaylistReply; reload: () => void }): JSX.Element {
  const player = usePlayer();
  const [tint, setTint] = createSignal<string>();
  const [list, setList] = createSignal(props.list);
  const [rows, setRows] = createSignal<readonly Row[]>([]);
  /** Rows that say the same as before keep their object, and with it their place on the page and the focus. */
  const rowsOf = (l: PlaylistReply): Row[] => {
    const before = new Map<string, Row[]>();
    for (const row of rows()) {
      const key = JSON.stringify(row.track);
      before.set(key, [...(before.get(key) ?? []), row]);
    }
    return l.tracks.map((track) => before.get(JSON.stringify(track))?.shift() ?? { track });
  };
  // What the server has is taken over unless changes of ours are still on their way to it. An answer that was on its way
  // while they were made is older than what they came to.
  let saving = false;
  createEffect(
    on(
      () => props.list,
      (l) => {
        if (saving || (l.id === list().id && (l.version < list().version || (l.version === list().version && rows().length === l.tracks.length)))) return;
        setList(l);
        setRows(rowsOf(l));
      },
    ),
  );

  const mayEdit = createMemo(() => list().mine && list().imported !== true && can("playlist"));
  const tracks = createMemo(() => rows().map((r) => r.track));
  const length = createMemo(() => tracks().reduce((ms, track) => ms + track.durationMs, 0));

  /** Changes wait for one another: each is made of the version that the one before came to. */
  interface Wanted {
    readonly rows: readonly Row[];
    readonly name: string;
    readonly comment: string;
    readonly public: boolean;
  }
  let wanted: Wanted | undefined;
  /** On its way to the server. */
  let sent: Wanted | undefined;
  const save = async (): Promise<void> => {
    if (saving) return;
    saving = true;
    try {
      while (wanted !== undefined) {
        const w = wanted;
        wanted = undefined;
        sent = w;
        const body = { name: w.name, comment: w.comment, public: w.public, tracks: w.rows.map((r) => r.track.id), version: list().version };
        setList(await send<PlaylistReply>("PUT", `playlists/${encodeURIComponent(list().id)}`, body));
      }
    } catch (cause) {
      wanted = undefined;
      saving = false;
      props.reload();
      if (cause instanceof ApiError && cause.kind === "conflict") throw new Error(t("lists.playlists.changedElsewhere"));
      // What is shown must be what is: the change did not come to be.
      setRows(rowsOf(list()));
      throw cause;
    } finally {
      saving = false;
      sent = undefined;
    }
  };
  /** What is asked for already counts, though the server has not said yet that it is so. */
  const details = () => {
    const { name, comment = "", public: open } = wanted ?? sent ?? list();
    return { name, comment, public: open };
  };
  const arrange = (next: readonly Row[]) => {
    setRows(next);
    wanted = { ...details(), rows: next };
    save().catch(complain);
  };
  /** Does, says what was done, and can take it back. */
  const undoable = (next: readonly Row[], text: string) => {
    const before = rows();
    arrange(next);
    say(text, false, { name: t("lists.undo"), run: () => arrange(before) });
  };
  const remove = (index: number) => {
    const row = rows()[index];
    if (row !== undefined) undoable(rows().toSpliced(index, 1), t("lists.playlists.removed", { title: row.track.title }));
  };
  const putInOrder = (by: Sort | "duplicates") => {
    if (by === "duplicates") {
      const once = withoutDuplicates(rows());
      const gone = rows().length - once.length;
      if (gone === 0) say(t("lists.playlists.noDuplicates"));
      else undoable(once, t("lists.playlists.removedMany", { count: gone }));
      return;
    }
    undoable(sorted(rows(), by, tag()), t("lists.playlists.sorted", { name: list().name }));
  };
  const edit = () => {
    const now = details();
    const [name, setName] = createSignal(now.name);
    const [comment, setComment] = createSignal(now.comment);
    const [open, setOpen] = createSignal(now.public);
    openDialog(t("lists.playlists.edit"), (close) => (
      <Form
        action={t("lists.save")}
        disabled={name().trim() === ""}
        submit={() => {
          wanted = { rows: rows(), name: name().trim(), comment: comment().trim(), public: open() };
          return save();
        }}
        close={() => close()}
      >
        <PlaylistFields name={name()} setName={setName} comment={comment()} setComment={setComment} public={open()} setPublic={setOpen} />
      </Form>
    )).catch(complain);
  };
  const drop = async () => {
    if (!(await confirm(t("lists.playlists.delete.title"), t("lists.playlists.delete.text", { name: list().name }), t("lists.playlists.delete")))) return;
    await send("DELETE", `playlists/${encodeURIComponent(list().id)}`);
    say(t("lists.playlists.deleted", { name: list().name }));
    go("/playlists");
  };
  const copy = async () => {
    const made = await send<PlaylistReply>("POST", "playlists", { name: t("lists.playlists.copyName", { name: list().name }), comment: list().comment, tracks: tracks().map((track) => track.id) });
    say(t("lists.playlists.made", { name: made.name }));
    go(playlistPath(made.id));
  };

  const menu = (): MenuItem[] => {
    const items: MenuItem[] = [];
    const filled = rows().length > 0;
    if (filled) items.push({ label: t("library.playNext"), icon: "playnext", run: () => player.addNext(tracks()) });
    if (mayEdit()) items.push({ label: t("lists.playlists.edit"), icon: "edit", run: edit });
    if (filled) {
      items.push({ label: t("lists.playlists.export"), icon: "download", run: () => downloadFile(list().id) });
      if (can("playlist")) items.push({ label: t("lists.playlists.copy"), icon: "copy", run: copy });
    }
    if (mayEdit()) {
      if (rows().length > 1) {
        items.push(...sorts.map((by, i): MenuItem => ({ label: t(`lists.playlists.sort.${by}`), icon: "sort", apart: i === 0, run: () => putInOrder(by) })));
        items.push({ label: t("lists.playlists.sort.duplicates"), icon: "filter", run: () => putInOrder("duplicates") });
      }
      items.push({ label: t("lists.playlists.delete"), icon: "trash", apart: true, run: drop });
    }
    return items;
  };

  return (
    <div class="detail" style={{ "--tint": tint() }}>
      <header class="hero">
        <Cover id={list().id} has={rows().length > 0} name={list().name} size={320} eager onColor={(img) => setTint(tintOf(img))} />
        <div class="hero-text">
          <p class="eyebrow">{t("lists.playlist")}</p>
          <h1 dir="auto">{list().name}</h1>
          <Show when={list().comment}>
            <p class="playlist-comment" dir="auto">
              {list().comment}
            </p>
          </Show>
          <p class="facts">
            <Show when={!list().mine}>
              <span>{t("lists.playlists.by", { owner: list().owner })}</span>
            </Show>
            <span>{t("lists.tracks", { count: rows().length })}</span>
            <Show when={length() > 0}>
              <span>{about(length())}</span>
            </Show>
            <Show when={list().changed}>{(changed) => <span>{day(changed())}</span>}</Show>
            <span class="badge" title={t(list().public ? "lists.playlists.public" : "lists.playlists.private")}>
              {t(list().public ? "lists.playlists.publicShort" : "lists.playlists.privateShort")}
            </span>
          </p>
          <div class="actions">
            <Show when={rows().length > 0}>
              <button type="button" class="button primary" onClick={() => player.play(tracks())}>
                <Icon name="play" /> {t("lists.play")}
              </button>
              <button type="button" class="button" onClick={() => player.playShuffled(tracks())}>
                <Icon name="shuffle" /> {t("lists.shuffle")}
              </button>
              <button
                type="button"
                class="button"
                onClick={() => {
                  player.addLast(tracks());
                  say(t("lists.queued", { name: list().name }));
                }}
              >
                <Icon name="add" /> {t("lists.queueAll")}
              </button>
            </Show>
            <Show when={rows().length > 0 && can("share")}>
              <button
                type="button"
                class="button"
                onClick={() => {
                  openShare([list().id], list().name).catch(complain);
                }}
              >
                <Icon name="share" /> {t("lists.playlists.share")}
              </button>
            </Show>
            <Menu label={t("library.moreOf", { name: list().name })} title={list().name} items={menu} />
          </div>
        </div>
      </header>
      <Show when={list().imported}>
        <p class="playlist-note">
          {t("lists.playlists.fromFile.text")}
          <Show when={can("playlist")}>
            <button
              type="button"
              class="button small"
              onClick={() => {
                copy().catch(complain);
              }}
            >
              {t("lists.playlists.copy")}
            </button>
          </Show>
        </p>
      </Show>
      <Show
        when={rows().length > 0}
        fallback={
          <Message icon="queue" title={t("lists.playlists.empty")} action={<a class="button primary" href={href("/search")}>{t("lists.playlists.find.music")}</a>}>
            <p>{t("lists.playlists.empty.text")}</p>
          </Message>
        }
      >
        <SortableList<Row>
          rows={rows()}
          rowHeight={rowHeight}
          label={t("lists.playlists.tracksOf", { name: list().name })}
          nameOf={(r) => r.track.title}
          {...(mayEdit() ? { onMove: (from: number, to: number) => arrange(moved(rows(), from, to)), onRemove: remove } : {})}
          rowClass={(r) => ({ current: player.current()?.track.id === r.track.id, missing: r.track.missing ?? false })}
        >
          {(row, place) => (
            <ListRow
              track={row.track}
              current={player.current()?.track.id === row.track.id}
              playing={player.state.playing}
              readOnly={!mayEdit()}
              onPlay={() => player.play(tracks(), place.index())}
              removeLabel={t("lists.playlists.remove", { title: row.track.title })}
              {...(mayEdit() ? { onRemove: place.remove, more: () => [{ label: t("lists.playlists.removeIt"), icon: "remove" as const, run: place.remove }] } : {})}
              handle={place.handle()}
            />
          )}
        </SortableList>
      </Show>
    </div>
  );
}
