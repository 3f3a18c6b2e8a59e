import { For, type JSX, Show } from "solid-js";
import type { Track } from "../api/wire";
import { usePlayer } from "../player/context";
import type { Delivered } from "../player/player";
import { href } from "../router";
import { bytes, clock, day } from "../ui/format";
import { heardFacts } from "../ui/heard";
import { Icon } from "../ui/icons";
import { artistPath } from "../ui/music";
import { t, tag } from "../words";

type Sound = Pick<Delivered, "codec" | "sampleRate" | "bitDepth" | "channels" | "bitrateKbps">;

/** What a track is in the library, in the words of what is delivered of it. */
export const asStored = (track: Track): Sound => ({
  codec: track.codec,
  sampleRate: track.sampleRate ?? 0,
  bitDepth: track.lossless ? (track.bitDepth ?? 0) : 0,
  channels: track.channels ?? 0,
  bitrateKbps: track.bitRate ?? 0,
});

/** What a codec is called by people. */
const codecNames: Record<string, string> = { aac: "AAC", alac: "ALAC", flac: "FLAC", mp3: "MP3", opus: "Opus", vorbis: "Vorbis", wav: "WAV", pcm: "PCM", wavpack: "WavPack", ape: "Monkey’s Audio", dsd: "DSD" };

const number = (n: number, most: number): string => n.toLocaleString(tag(), { maximumFractionDigits: most });

/** FLAC 24/96, or MP3 320: what somebody who cares wants to know at a glance. */
export function formatOf(delivered: Sound | undefined, track: Track): string {
  const s = delivered ?? asStored(track);
  const name = codecNames[s.codec] ?? s.codec.toUpperCase();
  if (s.bitDepth > 0 && s.sampleRate > 0) return `${name} ${s.bitDepth}/${number(s.sampleRate / 1000, 1)}`;
  return s.bitrateKbps > 0 ? `${name} ${number(s.bitrateKbps, 0)}` : name;
}

/** Whether it is the original, and where it is not, what became of it. */
export const verdictOf = (d: Delivered): string => (d.original ? t("lists.details.original") : t("lists.details.converted"));

export function Details(props: { track: Track }): JSX.Element {
  const player = usePlayer();
  const heard = () => player.state.delivered;
  const stored = () => asStored(props.track);
  const sound = (s: Sound): string =>
    [
      codecNames[s.codec] ?? s.codec.toUpperCase(),
      s.bitDepth > 0 ? t("lists.details.bits", { count: s.bitDepth }) : "",
      s.sampleRate > 0 ? t("lists.details.rate", { rate: number(s.sampleRate / 1000, 1) }) : "",
      s.channels === 1 ? t("lists.details.mono") : s.channels === 2 ? t("lists.details.stereo") : s.channels > 2 ? t("lists.details.channels", { count: s.channels }) : "",
      s.bitrateKbps > 0 ? t("lists.details.bitrate", { rate: number(s.bitrateKbps, 0) }) : "",
    ]
      .filter((part) => part !== "")
      .join(" · ");
  const db = (v: number) => t("lists.details.db", { value: v.toLocaleString(tag(), { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 }) });
  const facts = (): [string, string | undefined][] => {
    const x = props.track;
    return [
      [t("lists.details.inLibrary"), sound(stored())],
      [t("lists.details.gain"), player.state.gainDb === 0 ? t("lists.details.gain.none") : db(player.state.gainDb)],
      [t("lists.details.size"), bytes(x.size)],
      [t("lists.details.length"), clock(x.durationMs)],
      [t("lists.details.date"), x.originalDate ?? x.date],
      [t("lists.details.genre"), x.genres?.join(", ")],
      // As heard, unless the tags say otherwise.
      [t("lists.details.bpm"), x.bpm === undefined || x.bpm === Math.round(x.sound?.tempo ?? 0) ? undefined : String(x.bpm)],
      ...heardFacts(x.sound),
      [t("lists.details.work"), [x.work, x.movement].filter((s) => s !== undefined).join(": ")],
      [t("lists.details.isrc"), x.isrc?.join(", ")],
      [t("lists.details.plays"), x.playCount === undefined ? undefined : t("lists.details.times", { count: x.playCount })],
      [t("lists.details.played"), x.played === undefined ? undefined : day(x.played)],
      [t("lists.details.added"), x.added === undefined ? undefined : day(x.added)],
      [t("lists.details.comment"), x.comment],
      [t("lists.details.file"), x.path],
    ];
  };
  /** Who did what, one line a role. */
  const credits = () => {
    const roles = new Map<string, { id: string; name: string }[]>();
    for (const c of props.track.contributors ?? []) {
      const role = c.subRole === undefined ? c.role : `${c.role} (${c.subRole})`;
      roles.set(role, [...(roles.get(role) ?? []), c.artist]);
    }
    return [...roles];
  };
  return (
    <section aria-label={t("lists.panel.details")}>
      <Show when={heard()}>
        {(d) => (
          <div class="verdict">
            <Icon name={d().original ? "check" : "refresh"} />
            <strong>{d().original ? t("lists.details.bitForBit") : t("lists.details.convertedTo", { format: sound(d()) })}</strong>
            <p>{d().original ? sound(d()) : d().reason}</p>
          </div>
        )}
      </Show>
      <dl class="facts-list">
        <For each={facts()}>
          {([name, value]) => (
            <Show when={value}>
              <dt>{name}</dt>
              <dd dir="auto">{value}</dd>
            </Show>
          )}
        </For>
        <For each={credits()}>
          {([role, artists]) => (
            <>
              <dt>{role}</dt>
              <dd dir="auto">
                <For each={artists}>
                  {(a, i) => (
                    <>
                      {i() > 0 ? ", " : ""}
                      <a href={href(artistPath(a.id))}>{a.name}</a>
                    </>
                  )}
                </For>
              </dd>
            </>
          )}
        </For>
        <Show when={props.track.musicBrainzId}>
          {(id) => (
            <>
              <dt>MusicBrainz</dt>
              <dd>
                <a href={`https://musicbrainz.org/recording/${id()}`} target="_blank" rel="noopener noreferrer">
                  {id()}
                </a>
              </dd>
            </>
          )}
        </Show>
      </dl>
    </section>
  );
}
