// Makes a small library of real, tagged files in several formats, with covers, for the page's tests.
import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const ffmpeg = (...args) => run("ffmpeg", ["-hide_banner", "-loglevel", "error", "-nostdin", "-y", ...args]);

/** Each album: artist, title, year, genre, file format, two colours of its cover, and its tracks. */
export const albums = [
  ["North Pier", "Harbour Lights", 2019, "Ambient", "flac", "0x1b4965", "0x62b6cb", ["Slack Water", "Lanterns on the Quay", "Outbound", "The Last Ferry"]],
  ["North Pier", "Salt and Static", 2022, "Ambient", "flac", "0x2d1e2f", "0xf7b32b", ["Dry Dock", "Static Coast", "Signal Flags"]],
  ["The Paper Kites Club", "Folding Season", 2016, "Folk", "mp3", "0xd8572a", "0xf7b538", ["First Crease", "Swallow Tail", "Thermals", "String, Let Go"]],
  ["Orchestra of the Lower Valley", "Three Weathers", 2008, "Classical", "alac", "0x344e41", "0xa3b18a", ["I. Frost", "II. Thaw", "III. Haymaking"]],
  ["Velvet Arcade", "Insert Coin", 1987, "Synthpop", "ogg", "0x3a0ca3", "0xf72585", ["Attract Mode", "High Score", "Continue?", "Last Credit"]],
  ["Velvet Arcade", "Neon Ordinary", 1989, "Synthpop", "ogg", "0x7209b7", "0x4cc9f0", ["Night Bus", "Ordinary Neon"]],
  ["Sixth Form Disco", "Coats in the Corner", 2004, "Indie", "opus", "0xef476f", "0xffd166", ["Slow Dance, Fast Song", "Cloakroom", "Taxi, Two Stops"]],
  ["Midnight Allotment", "Grow Lights", 2021, "Electronic", "m4a", "0x073b4c", "0x06d6a0", ["Seedling", "Under Glass", "Harvest Moon"]],
  ["Midnight Allotment", "Root System", 2024, "Electronic", "flac", "0x386641", "0xf2e8cf", ["Mycelium", "Taproot"]],
  ["Brass Lane", "Sunday Best", 1962, "Jazz", "mp3", "0x6f1d1b", "0xffe6a7", ["Sunday Best", "Corner Table", "Rain on the Awning"]],
  ["Kōji Street Quartet", "雨の午後", 1998, "Jazz", "flac", "0x264653", "0xe9c46a", ["雨の午後", "路地裏", "終電"]],
  ["Fjällräven Choir", "Långt bort", 2011, "Classical", "ogg", "0x335c67", "0xe09f3e", ["Över isen", "Långt bort"]],
  ["Concrete Garden", "Brutal, Tender", 2018, "Indie", "m4a", "0x6c757d", "0xced4da", ["Stairwell", "Balcony 9F", "Tender"]],
  ["Concrete Garden", "Elevation", 2023, "Indie", "flac", "0x5f0f40", "0xfb8b24", ["Ground", "Mezzanine", "Roof"]],
];

const codecs = {
  flac: ["flac", "flac"],
  mp3: ["mp3", "libmp3lame", "-b:a", "128k"],
  ogg: ["ogg", "libvorbis"],
  opus: ["opus", "libopus"],
  m4a: ["m4a", "aac"],
  alac: ["m4a", "alac"],
};

/** How long each track plays: longer than any test listens on a slow machine, unless it goes to the end by itself. */
export const seconds = 20;

/** Writes one album below dir, in one run of ffmpeg: starting it takes longer than what it has to do. */
export async function writeAlbum(dir, [artist, title, year, genre, format, from, to, tracks]) {
  const folder = join(dir, artist.replaceAll("/", "_"), title.replaceAll("/", "_"));
  await mkdir(folder, { recursive: true });
  const [suffix, codec, ...options] = codecs[format];
  const size = 640;
  const inputs = ["-f", "lavfi", "-i", `gradients=s=${size}x${size}:c0=${from}:c1=${to}:x0=0:y0=0:x1=${size}:y1=${size}:d=1:speed=0.00001`];
  const outputs = ["-map", "0:v", "-frames:v", "1", "-q:v", "2", join(folder, "cover.jpg")];
  for (const [i, name] of tracks.entries()) {
    // A tone of its own, fading in and out.
    const root = 160 + 24 * i + (year % 40);
    inputs.push("-f", "lavfi", "-i", `sine=f=${root}:r=44100:d=${seconds}`);
    outputs.push(
      ...["-map", `${i + 1}:a`, "-af", `afade=t=in:d=0.4,afade=t=out:st=${seconds - 0.6}:d=0.6`, "-ac", "2", "-c:a", codec, ...options],
      ...["-metadata", `title=${name}`, "-metadata", `artist=${artist}`, "-metadata", `album_artist=${artist}`, "-metadata", `album=${title}`],
      ...["-metadata", `date=${year}`, "-metadata", `genre=${genre}`, "-metadata", `track=${i + 1}`, "-metadata", "disc=1"],
      join(folder, `${String(i + 1).padStart(2, "0")} ${name.replaceAll(/[/?]/g, "_")}.${suffix}`),
    );
  }
  await ffmpeg(...inputs, ...outputs);
}

/** Words in time for one track, one line of them with the time of every word (LRC, enhanced). */
const lyrics = `[la:en]
[00:00.50]Slack water at the harbour mouth
[00:03.00]<00:03.00>The <00:03.40>tide <00:03.80>forgets <00:04.30>its <00:04.60>name
[00:06.00]Lanterns lean over the quay
[00:08.50]And every rope is holding still
[00:11.00]
[00:13.00]Wait for the turning
[00:15.00]Wait for the morning to call
[00:17.50]Slack water, hold me here
`;

export async function writeLibrary(dir) {
  await rm(dir, { recursive: true, force: true });
  // Two at a time: ffmpeg keeps a core busy.
  const rest = [...albums];
  const worker = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) await writeAlbum(dir, next);
  };
  await Promise.all([worker(), worker()]);
  await writeFile(join(dir, "North Pier", "Harbour Lights", "01 Slack Water.lrc"), lyrics);
}
