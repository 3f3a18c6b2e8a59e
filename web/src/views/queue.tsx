import { createMemo, type JSX, Show } from "solid-js";
import { unwrap } from "solid-js/store";
import { can } from "../api/state";
import { usePlayer } from "../player/context";
import { prefer, preferences } from "../preferences";
import { Switch } from "../ui/choice";
import { SortableList } from "../ui/drag";
import { about } from "../ui/format";
import { Icon } from "../ui/icons";
import { ListRow, rowHeight } from "../ui/listrow";
import { complain, IconButton, say } from "../ui/parts";
import { t, tag } from "../words";
import "./queue.css";

/** What was played, what plays and what is to come, to be put in any order. */
export function QueuePanel(): JSX.Element {
  const player = usePlayer();
  const entries = () => player.state.queue.entries;
  /** How long what follows the current track is; gone through when the queue changes, not when the music moves. */
  const following = createMemo(() => {
    const { current } = player.state.queue;
    return unwrap(entries()).reduce((ms, e, i) => (i > current ? ms + e.track.durationMs : ms), 0);
  });
  const rest = () => (following() + Math.max(0, player.state.durationMs - player.state.positionMs)) / player.state.speed;
  // To the minute, so that the words change once a minute.
  const left = createMemo(() => Math.round(rest() / 60_000));

  const undo = { name: t("lists.undo"), run: () => player.undo() };
  const remove = (index: number) => {
    const e = entries()[index];
    if (e === undefined) return;
    player.remove(e.key);
    say(t("lists.queue.removed", { title: e.track.title }), false, undo);
  };
  /** Right behind what plays. */
  const next = (key: number, index: number) => {
    const { current } = player.state.queue;
    player.move(key, index > current ? current + 1 : current);
  };
  const clear = () => {
    const count = entries().length;
    player.clear();
    document.getElementById("main")?.focus();
    say(t("lists.queue.cleared", { count }), false, undo);
  };
  const save = async () => {
    const { newPlaylist } = await import("./playlists");
    const today = new Date().toLocaleDateString(tag(), { day: "numeric", month: "long" });
    await newPlaylist(
      unwrap(entries()).map((e) => e.track.id),
      t("lists.queue.name", { date: today }),
    );
  };

  return (
    <section class="queue" aria-label={t("lists.queue")}>
      <header class="queue-head">
        <p>
          {t("lists.tracks", { count: entries().length })}
          <Show when={left() > 0}> · {t("lists.queue.left", { time: about(left() * 60_000) })}</Show>
        </p>
        <IconButton icon="shuffle" label={t("lists.queue.shuffle")} onClick={() => player.shuffle()} />
        <Show when={can("playlist")}>
          <button
            type="button"
            class="button small"
            onClick={() => {
              save().catch(complain);
            }}
          >
            <Icon name="playlists" /> {t("lists.queue.save")}
          </button>
        </Show>
        <button type="button" class="button small" onClick={clear}>
          {t("lists.queue.clear")}
        </button>
      </header>
      <SortableList
        rows={entries()}
        rowHeight={rowHeight}
        label={t("lists.queue.tracks")}
        nameOf={(e) => e.track.title}
        showFirst={player.state.queue.current}
        onMove={(from, to) => {
          const e = entries()[from];
          if (e !== undefined) player.move(e.key, to);
        }}
        onRemove={remove}
        rowClass={(e, i) => ({ current: e.key === player.current()?.key, past: i < player.state.queue.current })}
      >
        {(e, place) => (
          <ListRow
            narrow
            track={e.track}
            current={e.key === player.current()?.key}
            playing={player.state.playing}
            onPlay={() => player.jump(place.index())}
            removeLabel={t("lists.queue.remove", { title: e.track.title })}
            onRemove={place.remove}
            more={() => [
              { label: t("lists.queue.removeIt"), icon: "remove", run: place.remove },
              { label: t("lists.queue.toNext"), icon: "playnext", run: () => next(e.key, place.index()) },
            ]}
            handle={place.handle()}
          />
        )}
      </SortableList>
      <div class="queue-end">
        <Switch label={t("library.sonic.endless")} hint={t("library.sonic.endlessOn")} on={preferences.endless} onChange={(endless) => prefer({ endless })} />
      </div>
    </section>
  );
}
