import { createMemo, type JSX, Show } from "solid-js";
import { get } from "../api/client";
import { load, readOnce } from "../api/state";
import type { TrackWindow } from "../api/wire";
import { usePlayer } from "../player/context";
import { place } from "../router";
import { EmptyLibrary } from "../ui/empty";
import { Icon } from "../ui/icons";
import { TrackList } from "../ui/music";
import { createPaged, pageSize } from "../ui/paging";
import { Await, complain } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t } from "../words";

export function Tracks(): JSX.Element {
  useTitle(() => t("library.tracksTitle"));
  const player = usePlayer();
  const query = createMemo(() => ({ genre: place().query.get("genre") ?? undefined }));
  const first = load<TrackWindow>(() => ({ path: "tracks", query: { ...query(), limit: pageSize } }));
  const shuffle = () => {
    get<TrackWindow>("tracks", { ...query(), random: true, limit: 500 }).then((w) => player.play(w.items.filter((x) => !x.missing)), complain);
  };
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.tracksTitle")}</h1>
          <p class="muted">{(() => { const w = first.value(); return w && w.total > 0 ? t("lists.tracks", { count: w.total }) : " "; })()}</p>
        </div>
        <div class="choices">
          <button type="button" class="button" onClick={shuffle}>
            <Icon name="shuffle" /> {t("library.shuffleAll")}
          </button>
        </div>
      </header>
      <Await value={first.value()} error={first.error()} retry={first.retry}>
        {(w) => {
          const paged = createPaged(
            () => ({
              key: JSON.stringify(query()),
              first: w(),
              fetch: (offset, limit, signal) => readOnce<TrackWindow>("tracks", { ...query(), offset, limit }, signal),
            }),
            complain,
          );
          return (
            <Show when={w().total > 0} fallback={<EmptyLibrary />}>
              <TrackList paged={paged} listKey={JSON.stringify(query())} label={t("library.tracksTitle")} showAlbum />
            </Show>
          );
        }}
      </Await>
    </>
  );
}

