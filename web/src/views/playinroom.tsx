import { For, type JSX } from "solid-js";
import { send } from "../api/client";
import { load } from "../api/state";
import type { Room, RoomItems } from "../api/wire";
import { openDialog } from "../ui/dialog";
import { Await, complain, Cover, say } from "../ui/parts";
import { t } from "../words";
import "./playlists.css";

/** Lets somebody choose the room in which tracks are played. */
export async function openPlayInRoom(tracks: readonly string[]): Promise<void> {
  if (tracks.length === 0) return;
  const room = await openDialog<Room>(t("rooms.inRoom.choose"), (close) => <Pick choose={close} />);
  if (room === undefined) return;
  await send("PUT", `rooms/${encodeURIComponent(room.id)}/queue`, { tracks });
  const undo = () => void send("POST", `rooms/${encodeURIComponent(room.id)}/undo`).catch(complain);
  say(t("rooms.inRoom.started", { name: room.name }), false, room.tracks.length === 0 ? undefined : { name: t("lists.undo"), run: undo });
}

function Pick(props: { choose: (room: Room) => void }): JSX.Element {
  const rooms = load<RoomItems>(() => ({ path: "rooms" }));
  return (
    <Await value={rooms.value()} error={rooms.error()} retry={rooms.retry}>
      {(list) => (
        <ul class="pick" role="list" aria-label={t("rooms.title")}>
          <For each={list().items}>
            {(room) => (
              <li>
                <button type="button" onClick={() => props.choose(room)}>
                  <Cover id={room.tracks[room.current]?.albumId ?? room.id} has={room.tracks[room.current]?.hasCover ?? false} name={room.name} size={44} />
                  <span>
                    <strong dir="auto">{room.name}</strong>
                    <small>{t("rooms.players.count", { count: room.players.filter((p) => p.connected).length })}</small>
                  </span>
                </button>
              </li>
            )}
          </For>
        </ul>
      )}
    </Await>
  );
}
