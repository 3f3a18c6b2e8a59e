import { type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { AlbumReply, Artist, Track, TrackItems } from "../api/wire";
import { usePlayer } from "../player/context";
import { Icon } from "../ui/icons";
import { TrackList } from "../ui/music";
import { Await, Message } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t } from "../words";
import type { ViewProps } from "../routes";

/** How many are shown: as many as an evening has room for. */
const most = 60;

/** What an id is the id of, by its first letters. */
const kinds: Readonly<Record<string, string>> = { al: "albums", ar: "artists", tr: "tracks" };

/** What sounds like a track, an album or an artist. */
export function Similar(props: ViewProps): JSX.Element {
  const player = usePlayer();
  const seed = load<Track | AlbumReply | Artist>(() => ({ path: `${kinds[props.id.slice(0, 2)] ?? "tracks"}/${encodeURIComponent(props.id)}` }));
  const found = load<TrackItems>(() => ({ path: `similar/${encodeURIComponent(props.id)}`, query: { limit: most } }));
  const name = () => {
    const x = seed.value();
    return x === undefined ? "" : "title" in x ? x.title : x.name;
  };
  const title = () => (name() === "" ? t("library.sonic.show") : t("library.sonic.title", { name: name() }));
  useTitle(title);
  const tracks = () => (found.value()?.items ?? []).filter((x) => !x.missing);
  return (
    <>
      <header class="view-head">
        <div>
          <h1 dir="auto">{title()}</h1>
          <p class="muted">{tracks().length > 0 ? t("lists.tracks", { count: tracks().length }) : " "}</p>
        </div>
        <Show when={tracks().length > 0}>
          <div class="choices">
            <button type="button" class="button primary" onClick={() => player.play(tracks())}>
              <Icon name="play" /> {t("library.play")}
            </button>
            <button type="button" class="button" onClick={() => player.addLast(tracks())}>
              <Icon name="queue" /> {t("library.addToQueue")}
            </button>
          </div>
        </Show>
      </header>
      <Await value={found.value()} error={found.error()} retry={found.retry}>
        {(r) => (
          <Show
            when={r().items.length > 0}
            fallback={
              <Message icon="sound" title={t("library.sonic.none")}>
                <p>{t("library.sonic.noneMore")}</p>
              </Message>
            }
          >
            <TrackList tracks={r().items} label={title()} showAlbum />
          </Show>
        )}
      </Await>
    </>
  );
}
