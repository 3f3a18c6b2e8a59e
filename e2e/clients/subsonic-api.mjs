// Drives the server through the npm client subsonic-api, as an app built on it would. Prints one line a step; throws
// at the first thing that is not as it should be. Arguments: the server's address, name, password, app key.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { SubsonicAPI } from "subsonic-api";

const [url, username, password, apiKey] = process.argv.slice(2);

async function drive(how, api) {
  const ping = await api.ping();
  assert.equal(ping.status, "ok");
  assert.equal(ping.openSubsonic, true);

  const { albumList2 } = await api.getAlbumList2({ type: "alphabeticalByName", size: 50 });
  assert.ok(albumList2.album.length > 0, "albums are listed");
  const { album } = await api.getAlbum({ id: albumList2.album[0].id });
  assert.ok(album.song.length > 0, "an album has songs");
  const song = album.song[0];

  const { artists } = await api.getArtists();
  assert.ok(artists.index.length > 0, "artists are indexed");

  const { searchResult3 } = await api.search3({ query: song.title, songCount: 100 });
  assert.ok(searchResult3.song.some((s) => s.id === song.id), `search finds ${song.title}`);

  const everything = await api.search3({ query: "", songCount: 500, albumCount: 500, artistCount: 500 });
  assert.ok(everything.searchResult3.song.length >= album.song.length, "an empty query lists everything");

  await api.star({ id: song.id });
  const starred = await api.getStarred2();
  assert.ok(starred.starred2.song.some((s) => s.id === song.id), "a star is seen");
  await api.unstar({ id: song.id });
  await api.setRating({ id: song.id, rating: 4 });
  assert.equal((await api.getSong({ id: song.id })).song.userRating, 4);

  const { playlist } = await api.createPlaylist({ name: "e2e " + how, songId: album.song.map((s) => s.id) });
  const read = await api.getPlaylist({ id: playlist.id });
  assert.deepEqual(read.playlist.entry.map((s) => s.id), album.song.map((s) => s.id));
  await api.updatePlaylist({ playlistId: playlist.id, name: "renamed" });
  assert.equal((await api.getPlaylist({ id: playlist.id })).playlist.name, "renamed");
  await api.deletePlaylist({ id: playlist.id });
  await assert.rejects(async () => {
    const gone = await api.getPlaylist({ id: playlist.id });
    if (gone.status !== "ok") throw new Error(gone.error.message);
  }, "a deleted playlist is gone");

  const before = (await api.getSong({ id: song.id })).song.playCount ?? 0;
  await api.scrobble({ id: song.id });
  assert.equal((await api.getSong({ id: song.id })).song.playCount, before + 1);

  const original = await api.stream({ id: song.id, format: "raw" });
  assert.equal(original.status, 200);
  const bytes = Buffer.from(await original.arrayBuffer());
  assert.equal(bytes.length, song.size);
  console.log(how, song.path, createHash("sha256").update(bytes).digest("hex"));
}

await drive("token", new SubsonicAPI({ url, auth: { username, password } }));
await drive("post", new SubsonicAPI({ url, auth: { username, password }, post: true }));
await drive("key", new SubsonicAPI({ url, auth: { apiKey } }));

const wrong = new SubsonicAPI({ url, auth: { username, password: password + "?" } });
const refused = await wrong.ping().then((r) => r.error?.code, (e) => e.code ?? e.message);
assert.ok(String(refused).includes("40") || /wrong|password|auth/i.test(String(refused)), `a wrong password is refused with code 40, not ${refused}`);
console.log("ok");
