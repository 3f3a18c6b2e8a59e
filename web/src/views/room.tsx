import { createEffect, createMemo, createSignal, type JSX, on, Show } from "solid-js";
import { get, send } from "../api/client";
import { can } from "../api/state";
import type { Room, Track } from "../api/wire";
import { href } from "../router";
import type { ViewProps } from "../routes";
import { watchRooms } from "../rooms/watch";
import { SortableList } from "../ui/drag";
import { Icon } from "../ui/icons";
import { ListRow, rowHeight } from "../ui/listrow";
import { Await, complain, Message, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t } from "../words";
import "./rooms.css";

/** The queue of a room. */
export function RoomView(props: ViewProps): JSX.Element {
  const watch = watchRooms();
  const now = createMemo(() => watch.rooms()?.find((r) => r.id === props.id));
  const [room, setRoom] = createSignal<Room>();
  const [error, setError] = createSignal<Error>();
  const [attempt, setAttempt] = createSignal(0);
  const where = () => `rooms/${encodeURIComponent(props.id)}`;
  useTitle(() => now()?.name ?? t("rooms.title"));
  createEffect(
    on(
      () => [props.id, now()?.queue, attempt()] as const,
      () => {
        setError(undefined);
        get<Room>(where()).then(setRoom, (cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))));
      },
    ),
  );
  /** Rows are objects of their own: the same track may stand in the queue twice. */
  const rows = createMemo(() => (room()?.tracks ?? []).map((track: Track) => ({ track })));
  const clear = () => {
    const name = room()?.name ?? "";
    send("PUT", `${where()}/queue`, { tracks: [] }).then(() => say(t("rooms.cleared", { name })), complain);
  };
  return (
    <>
      <header class="view-head">
        <div>
          <p class="crumb">
            <a href={href("/rooms")}>{t("rooms.back")}</a>
          </p>
          <h1 dir="auto">{now()?.name ?? room()?.name ?? ""}</h1>
          <p class="muted">{t("lists.tracks", { count: rows().length })}</p>
        </div>
        <Show when={can("stream") && rows().length > 0}>
          <button type="button" class="button" onClick={clear}>
            <Icon name="remove" /> {t("rooms.clear")}
          </button>
        </Show>
      </header>
      <Await value={room()} error={error()} retry={() => setAttempt((n) => n + 1)}>
        {() => (
          <Show
            when={rows().length > 0}
            fallback={
              <Message icon="queue" title={t("rooms.nothing")}>
                <p>{t("rooms.nothing.text")}</p>
              </Message>
            }
          >
            <SortableList
              rows={rows()}
              rowHeight={rowHeight}
              label={t("rooms.queue")}
              nameOf={(r) => r.track.title}
              showFirst={now()?.current ?? 0}
              rowClass={(_, i) => ({ current: i === now()?.current, past: i < (now()?.current ?? 0) })}
            >
              {(r, place) => (
                <ListRow
                  track={r.track}
                  current={place.index() === now()?.current}
                  playing={now()?.playing ?? false}
                  readOnly
                  onPlay={() => {
                    send("PUT", `${where()}/place`, { current: place.index(), positionMs: 0 })
                      .then(() => (now()?.playing === true ? undefined : send("POST", `${where()}/resume`)))
                      .catch(complain);
                  }}
                  handle={place.handle()}
                />
              )}
            </SortableList>
          </Show>
        )}
      </Await>
    </>
  );
}
