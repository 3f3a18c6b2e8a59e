import { type Key, t } from "../words";

const roles: Partial<Record<string, Key>> = {
  albumartist: "library.roleAlbumArtist",
  artist: "library.roleArtist",
  composer: "library.roleComposer",
  lyricist: "library.roleLyricist",
  arranger: "library.roleArranger",
  conductor: "library.roleConductor",
  performer: "library.rolePerformer",
  remixer: "library.roleRemixer",
  producer: "library.roleProducer",
  engineer: "library.roleEngineer",
  mixer: "library.roleMixer",
};

/** A role in the reader's language where it is a usual one, else as tagged. */
export function roleName(role: string): string {
  const key = roles[role];
  return key === undefined ? role.charAt(0).toUpperCase() + role.slice(1) : t(key);
}
