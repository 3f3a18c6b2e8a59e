import type { AlbumReply, ArtistRef, Track } from "../api/wire";

/** Who did something on an album, and on which of its tracks: none named where it is all of them. */
export interface Credit {
  artist: ArtistRef;
  /** What narrows the role: a performer's instrument. */
  detail: string;
  tracks: readonly number[];
}

export interface RoleCredits {
  role: string;
  credits: Credit[];
}

/** Roles in the order in which sleeve notes name them; others follow by name. */
const order = ["composer", "lyricist", "arranger", "conductor", "orchestra", "ensemble", "choir", "performer", "remixer", "producer", "engineer", "mixer", "mastering"];

const rank = (role: string): number => {
  const at = order.indexOf(role);
  return at < 0 ? order.length : at;
};

/** The credits of an album's tracks, gathered by role. Who is an artist of the track is said there already. */
export function creditsOf(album: Pick<AlbumReply, "tracks">): RoleCredits[] {
  const roles = new Map<string, Map<string, { credit: Credit; on: Set<Track> }>>();
  for (const t of album.tracks) {
    for (const c of t.contributors ?? []) {
      if (c.role === "artist" || c.role === "albumartist") continue;
      const people = roles.get(c.role) ?? new Map<string, { credit: Credit; on: Set<Track> }>();
      roles.set(c.role, people);
      const key = `${c.artist.id} ${c.subRole ?? ""}`;
      const known = people.get(key);
      if (known === undefined) people.set(key, { credit: { artist: c.artist, detail: c.subRole ?? "", tracks: [] }, on: new Set([t]) });
      else known.on.add(t);
    }
  }
  return [...roles]
    .map(([role, people]) => ({
      role,
      credits: [...people.values()].map(({ credit, on }) => ({
        ...credit,
        tracks: on.size === album.tracks.length ? [] : album.tracks.flatMap((t, i) => (on.has(t) ? [i + 1] : [])),
      })),
    }))
    .sort((a, b) => rank(a.role) - rank(b.role) || a.role.localeCompare(b.role));
}

/** 1, 2, 3, 7 as "1–3, 7". */
export function spans(numbers: readonly number[]): string {
  const out: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let j = i;
    while (j + 1 < numbers.length && numbers[j + 1] === (numbers[j] ?? 0) + 1) j++;
    const [from, to] = [numbers[i] ?? 0, numbers[j] ?? 0];
    out.push(from === to ? String(from) : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`);
    i = j + 1;
  }
  return out.join(", ");
}
