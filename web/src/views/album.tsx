import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { load } from "../api/state";
import type { Album, AlbumReply, ArtistReply, Track, TrackItems } from "../api/wire";
import { usePlayer } from "../player/context";
import { href } from "../router";
import { dateText } from "../ui/dates";
import { about, bytes, year } from "../ui/format";
import { albumHeardFacts } from "../ui/heard";
import { Icon } from "../ui/icons";
import { KeepButton } from "../ui/keep";
import { Menu } from "../ui/menu";
import { AlbumCard, Credit, TrackList } from "../ui/music";
import { Await, Cover, StarButton } from "../ui/parts";
import { artistPath, genrePath } from "../ui/paths";
import { RatingStars } from "../ui/rating";
import { roleName } from "../ui/roles";
import { Shelf } from "../ui/shelf";
import { tintOf } from "../ui/tint";
import { useTitle } from "../ui/title";
import { type Key, t } from "../words";
import "./album.css";
import { creditsOf, spans } from "./credits";

/** Tracks that stand together: a disc, or a work on it. */
interface Group {
  readonly disc: number;
  readonly title: string;
  readonly work: string;
  readonly tracks: Track[];
}

function groupsOf(album: AlbumReply): Group[] {
  const groups: Group[] = [];
  for (const x of album.tracks) {
    const disc = x.disc ?? 1;
    const work = x.movement === undefined ? "" : (x.work ?? "");
    let g = groups.at(-1);
    if (g?.disc !== disc || g.work !== work) {
      g = { disc, work, title: album.discTitles?.find((d) => d.disc === disc)?.title ?? "", tracks: [] };
      groups.push(g);
    }
    g.tracks.push(x);
  }
  return groups;
}

/** What the music is like, in a word or two: "FLAC 24/96" or "MP3". */
function quality(album: AlbumReply): string {
  const names = [...new Set(album.tracks.map((x) => x.codec.toUpperCase()))];
  const x = album.tracks[0];
  if (names.length === 1 && x?.lossless && (x.bitDepth ?? 0) > 0) {
    return `${names[0] ?? ""} ${x.bitDepth ?? ""}/${(x.sampleRate ?? 0) / 1000}`;
  }
  return names.length > 2 ? "" : names.join(", ");
}

const kinds: Partial<Record<string, Key>> = {
  album: "library.album",
  ep: "library.ep",
  single: "library.single",
  live: "library.live",
  compilation: "library.compilation",
  soundtrack: "library.soundtrack",
  remix: "library.remix",
  audiobook: "library.audiobook",
};

/** A release type in the reader's language where it is a usual one, else as tagged. */
export function kindOf(album: Pick<Album, "releaseTypes" | "compilation">): string {
  const types = album.releaseTypes ?? [];
  // "Album; Live" is a live album: the narrower word says more.
  const type = types.find((x) => x.toLowerCase() !== "album") ?? types[0] ?? (album.compilation ? "compilation" : "album");
  const key = kinds[type.toLowerCase()];
  return key === undefined ? type : t(key);
}

export function AlbumView(props: { id: string }): JSX.Element {
  const player = usePlayer();
  const loaded = load<AlbumReply>(() => ({ path: `albums/${encodeURIComponent(props.id)}` }));
  const [tint, setTint] = createSignal<string>();
  useTitle(() => loaded.value()?.name ?? t("library.album"));

  return (
    <Await value={loaded.value()} error={loaded.error()} retry={loaded.retry}>
      {(album) => {
        const groups = createMemo(() => groupsOf(album()));
        const discs = () => new Set(groups().map((g) => g.disc)).size;
        const playable = () => album().tracks.filter((x) => !x.missing);
        const released = () => year(album().date);
        const original = () => year(album().originalDate ?? album().date);
        return (
          <div class="album" style={{ "--tint": tint() }}>
            <header class="hero">
              <Cover id={album().id} has={album().hasCover} name={album().name} size={320} eager onColor={(img) => setTint(tintOf(img))} />
              <div class="hero-text">
                <p class="eyebrow">
                  {kindOf(album())}
                  <Show when={album().explicit === "explicit"}>
                    <abbr class="song-explicit" title={t("library.explicit")}>E</abbr>
                  </Show>
                </p>
                <h1 dir="auto" classList={{ long: album().name.length > 34 }}>
                  {album().name}
                </h1>
                <p class="hero-credit" dir="auto">
                  <Credit text={album().artist} artists={album().artists} />
                </p>
                <p class="facts">
                  <Show when={original()}>
                    <span>
                      {original()}
                      <Show when={released() !== original()}> {t("library.releasedIn", { year: released() })}</Show>
                    </span>
                  </Show>
                  <Show when={album().edition}>{(e) => <span dir="auto">{e()}</span>}</Show>
                  <For each={album().genres?.slice(0, 3)}>
                    {(g) => (
                      <span>
                        <a href={href(genrePath(g))} dir="auto">
                          {g}
                        </a>
                      </span>
                    )}
                  </For>
                  <span>{t("lists.tracks", { count: album().trackCount })}</span>
                  <span>{about(album().durationMs)}</span>
                  <Show when={quality(album())}>{(q) => <span class="badge">{q()}</span>}</Show>
                </p>
                <div class="actions">
                  <button type="button" class="button primary" disabled={playable().length === 0} onClick={() => player.play(playable())}>
                    <Icon name="play" /> {t("library.play")}
                  </button>
                  <button type="button" class="button" disabled={playable().length === 0} onClick={() => player.playShuffled(playable())}>
                    <Icon name="shuffle" /> {t("library.shuffle")}
                  </button>
                  <StarButton thing={album()} name={album().name} />
                  <KeepButton id={album().id} name={album().name} />
                  <RatingStars thing={album()} name={album().name} />
                  <Menu
                    label={t("library.moreOf", { name: album().name })}
                    title={album().name}
                    sub={album().artist}
                    items={async () => (await import("../ui/actions")).albumItems(player, album(), true)}
                  />
                </div>
              </div>
            </header>
            <For each={groups()}>
              {(g, i) => (
                <section class="album-part">
                  <Show when={(discs() > 1 || g.title !== "") && groups()[i() - 1]?.disc !== g.disc}>
                    <h2 class="disc">
                      <Icon name="albums" /> {t("library.disc", { number: String(g.disc) })}
                      <Show when={g.title}>
                        <span class="muted" dir="auto">
                          {g.title}
                        </span>
                      </Show>
                    </h2>
                  </Show>
                  <Show when={g.work}>
                    <h3 class="work" dir="auto">
                      {g.work}
                    </h3>
                  </Show>
                  <TrackList tracks={g.tracks} queue={album().tracks} label={t("library.tracksOf", { name: g.work || (discs() > 1 ? t("library.disc", { number: String(g.disc) }) : album().name) })} numbered inAlbum {...(album().compilation ? {} : { albumArtist: album().artist })} />
                </section>
              )}
            </For>
            <Notes album={album()} />
            <MoreLike album={album()} />
          </div>
        );
      }}
    </Await>
  );
}

/** What a sleeve says: who did what, who released it and when, and what the files are. */
function Notes(props: { album: AlbumReply }): JSX.Element {
  const credits = createMemo(() => creditsOf(props.album));
  const first = () => props.album.tracks[0];
  const rates = () => props.album.tracks.map((x) => x.bitRate ?? 0).filter((r) => r > 0);
  const distinct = (of: (x: Track) => string) => [...new Set(props.album.tracks.map(of).filter((x) => x !== ""))].join(", ");
  const facts = createMemo(() => {
    const a = props.album;
    const list: [Key, string][] = [
      ["library.label", a.recordLabels?.join(", ") ?? ""],
      ["library.released", a.releaseDate ?? a.date ? dateText(a.releaseDate ?? a.date ?? "") : ""],
      ["library.firstReleased", a.originalDate !== undefined && a.originalDate !== (a.releaseDate ?? a.date) ? dateText(a.originalDate) : ""],
      ["library.edition", a.edition ?? ""],
      ["library.moods", a.moods?.join(", ") ?? ""],
      ["library.format", distinct((x) => `${x.codec.toUpperCase()}${x.lossless && x.bitDepth ? ` ${x.bitDepth}/${(x.sampleRate ?? 0) / 1000}` : ""}`)],
      ["library.channels", distinct((x) => (x.channels === undefined ? "" : x.channels === 1 ? t("library.mono") : x.channels === 2 ? t("library.stereo") : t("library.channelCount", { count: x.channels })))],
      ["library.bitRate", rates().length > 0 ? t("library.kbps", { count: Math.round(rates().reduce((a, b) => a + b, 0) / rates().length) }) : ""],
      ["library.size", a.size > 0 ? bytes(a.size) : ""],
      ["library.added", a.added === undefined ? "" : dateText(a.added.slice(0, 10))],
      ["library.played", a.playCount ? `${t("library.plays", { count: a.playCount })}${a.played === undefined ? "" : `, ${t("library.lastOn", { date: dateText(a.played.slice(0, 10)) })}`}` : ""],
    ];
    return [...list.filter(([, v]) => v !== "").map(([name, v]): [string, string] => [t(name), v]), ...albumHeardFacts(a)];
  });
  return (
    <div class="notes">
      <Show when={credits().length > 0}>
        <section>
          <h2>{t("library.credits")}</h2>
          <dl>
            <For each={credits()}>
              {(r) => (
                <div>
                  <dt>{roleName(r.role)}</dt>
                  <dd>
                    <For each={r.credits}>
                      {(c) => (
                        <span class="credit">
                          <a href={href(artistPath(c.artist.id))} dir="auto">
                            {c.artist.name}
                          </a>
                          <Show when={c.detail !== "" || c.tracks.length > 0}>
                            <span class="muted"> {[c.detail, c.tracks.length > 0 ? t("library.onTracks", { tracks: spans(c.tracks) }) : ""].filter((x) => x !== "").join(", ")}</span>
                          </Show>
                        </span>
                      )}
                    </For>
                  </dd>
                </div>
              )}
            </For>
          </dl>
        </section>
      </Show>
      <section>
        <h2>{t("library.aboutRelease")}</h2>
        <dl>
          <For each={facts()}>
            {([name, value]) => (
              <div>
                <dt>{name}</dt>
                <dd dir="auto">{value}</dd>
              </div>
            )}
          </For>
          <Show when={props.album.musicBrainzId}>
            {(id) => (
              <div>
                <dt>MusicBrainz</dt>
                <dd>
                  <a href={`https://musicbrainz.org/release/${encodeURIComponent(id())}`} target="_blank" rel="noopener noreferrer">
                    {t("library.openRelease")} <Icon name="external" />
                  </a>
                </dd>
              </div>
            )}
          </Show>
          <Show when={first()?.folderId}>
            {(id) => (
              <div>
                <dt>{t("library.files")}</dt>
                <dd>
                  <a href={href(`/folders/${encodeURIComponent(id())}`)}>{t("library.goToFolder")}</a>
                </dd>
              </div>
            )}
          </Show>
        </dl>
      </section>
    </div>
  );
}

/** More by the same artist, and albums that sound alike. */
function MoreLike(props: { album: AlbumReply }): JSX.Element {
  const by = () => (props.album.compilation ? undefined : props.album.artists[0]);
  const artist = load<ArtistReply>(() => { const a = by(); return a === undefined ? undefined : { path: `artists/${encodeURIComponent(a.id)}` }; });
  const similar = load<TrackItems>(() => ({ path: `similar/${encodeURIComponent(props.album.id)}`, query: { limit: 100 } }));
  const own = () => (artist.value()?.albums ?? []).filter((a) => a.id !== props.album.id).toReversed();
  const like = createMemo(() => albumsOf(similar.value()?.items ?? [], new Set([props.album.id, ...own().map((a) => a.id)])).slice(0, 20));
  return (
    <>
      <Show when={own().length > 0 ? by() : undefined}>
        {(a) => (
          <Shelf title={t("library.moreBy", { name: a().name })} to={artistPath(a().id)} items={own()}>
            {(x) => <AlbumCard album={x} showYear />}
          </Shelf>
        )}
      </Show>
      <Show when={like().length > 2}>
        <Shelf title={t("library.soundsAlike")} items={like()}>
          {(x) => <AlbumCard album={x} />}
        </Shelf>
      </Show>
    </>
  );
}

/** The albums that tracks are of, in their order, as far as the tracks tell. */
export function albumsOf(tracks: readonly Track[], without: ReadonlySet<string>): Album[] {
  const out = new Map<string, Album>();
  for (const x of tracks) {
    if (x.albumId === undefined || without.has(x.albumId) || out.has(x.albumId)) continue;
    const date = x.originalDate ?? x.date;
    out.set(x.albumId, {
      id: x.albumId,
      name: x.album ?? "",
      artist: x.albumArtist ?? x.artist,
      artists: x.albumArtists ?? x.artists,
      ...(date === undefined ? {} : { date }),
      hasCover: x.hasCover,
      trackCount: 0,
      durationMs: 0,
      size: 0,
    });
  }
  return [...out.values()];
}
