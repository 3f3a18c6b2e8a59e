import { type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { StarredReply } from "../api/wire";
import { usePlayer } from "../player/context";
import { ArtistCard } from "../ui/artist";
import { Icon } from "../ui/icons";
import { AlbumCard, TrackList } from "../ui/music";
import { Await, Message } from "../ui/parts";
import { Shelf } from "../ui/shelf";
import { useTitle } from "../ui/title";
import { t } from "../words";

export function Starred(): JSX.Element {
  useTitle(() => t("library.starred"));
  const player = usePlayer();
  const loaded = load<StarredReply>(() => ({ path: "starred" }));
  const tracks = () => (loaded.value()?.tracks ?? []).filter((x) => !x.missing);
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("library.starred")}</h1>
          <p class="muted">{tracks().length > 0 ? t("lists.tracks", { count: tracks().length }) : " "}</p>
        </div>
        <Show when={tracks().length > 0}>
          <div class="choices">
            <button type="button" class="button primary" onClick={() => player.play(tracks())}>
              <Icon name="play" /> {t("library.play")}
            </button>
            <button type="button" class="button" onClick={() => player.playShuffled(tracks())}>
              <Icon name="shuffle" /> {t("library.shuffle")}
            </button>
          </div>
        </Show>
      </header>
      <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
        {(r) => (
          <Show
            when={r().artists.length + r().albums.length + r().tracks.length > 0}
            fallback={
              <Message icon="star" title={t("library.noneStarred")}>
                <p>{t("library.noneStarredMore")}</p>
              </Message>
            }
          >
            <Show when={r().albums.length > 0}>
              <Shelf title={t("library.albumsTitle")} to="/albums?order=starred" items={r().albums}>
                {(a) => <AlbumCard album={a} />}
              </Shelf>
            </Show>
            <Show when={r().artists.length > 0}>
              <Shelf title={t("library.artistsTitle")} items={r().artists}>
                {(a) => <ArtistCard artist={a} />}
              </Shelf>
            </Show>
            <Show when={r().tracks.length > 0}>
              <section>
                <h2>{t("library.tracksTitle")}</h2>
                <TrackList tracks={r().tracks} label={t("library.starred")} showAlbum />
              </section>
            </Show>
          </Show>
        )}
      </Await>
    </>
  );
}
