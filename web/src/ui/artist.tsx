import type { JSX } from "solid-js";
import type { Artist } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { t } from "../words";
import "./artist.css";
import { openMenu } from "./menu";
import { complain, Cover } from "./parts";
import { artistPath } from "./paths";
import { onMenu } from "./press";

/** An artist in a grid or on a shelf: a round picture and the name. */
export function ArtistCard(props: { artist: Pick<Artist, "id" | "name" | "hasCover"> & Partial<Artist>; below?: string; size?: number }): JSX.Element {
  const player = usePlayer();
  const below = () => props.below ?? ((props.artist.albumCount ?? 0) > 0 ? t("library.albums", { count: props.artist.albumCount ?? 0 }) : t("lists.tracks", { count: props.artist.trackCount ?? 0 }));
  return (
    <article
      class="card artist-card"
      ref={(el) =>
        onMenu(el, (at) => {
          import("./actions")
            .then((a) => openMenu({ label: t("library.moreOf", { name: props.artist.name }), title: props.artist.name, items: a.artistItems(player, props.artist), at }))
            .catch(complain);
        })
      }
    >
      <a data-card href={href(artistPath(props.artist.id))}>
        <Cover id={props.artist.id} has={props.artist.hasCover} name={props.artist.name} size={props.size ?? 192} round />
        <strong dir="auto">{props.artist.name}</strong>
        <small>{below()}</small>
      </a>
    </article>
  );
}
