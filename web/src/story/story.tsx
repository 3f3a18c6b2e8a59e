/**
 * The states of the page's parts, to look at without a server: `npx vite` and then /story.html. It is no part of the
 * build. Each state has an anchor, so that one can be opened by its address.
 */
import { createSignal, For, type JSX } from "solid-js";
import { render } from "solid-js/web";
import { ApiError, OfflineError } from "../api/client";
import type { Album, Track } from "../api/wire";
import { PlayerProvider } from "../player/context";
import { createPlayer } from "../player/player";
import { prefer, preferences, wearPreferences } from "../preferences";
import "../styles.css";
import { Dial, Segmented, Switch } from "../ui/choice";
import { EmptyLibrary, GridWaiting } from "../ui/empty";
import { Icon } from "../ui/icons";
import { AlbumCard, TrackList } from "../ui/music";
import { complain, Cover, Failed, IconButton, Message, say, StarButton, Toasts, Waiting } from "../ui/parts";
import { Help } from "../views/help";
import "../views/settings.css";
import { SignIn } from "../views/signin";
import { type LanguageTag, languages, speak } from "../words";
import "./story.css";

/** Titles that layouts break on: long, without a space, from right to left, mixed, combining, emoji and empty. */
const titles = [
  "Elevation",
  "The Gentle Art of Waiting for the Last Ferry in November While It Rains, Parts One to Seven (Remastered, with Interview)",
  "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselanhängerverlosung",
  "أغاني المساء على ضفاف النهر",
  "שיר ערש (Live at Montreux)",
  "雨の午後、路地裏の喫茶店で流れていた曲",
  "Z̸͕̈́a̷̰͂l̴̙͋g̶̻̍ȯ̵̝",
  "👩‍👩‍👧‍👦🏳️‍🌈 e\u0301té",
  " ",
];

const artist = (name: string) => [{ id: `ar-${name.length}`, name }];

const album = (name: string, i: number): Album => ({
  id: `al-${i}`,
  name,
  artist: titles[(i + 3) % titles.length] ?? "",
  artists: artist("North Pier"),
  date: "2019",
  trackCount: 11,
  durationMs: 2_640_000,
  size: 300_000_000,
  hasCover: false,
});

const track = (title: string, i: number): Track => ({
  id: `tr-${i}`,
  title,
  album: titles[(i + 1) % titles.length] ?? "",
  albumId: `al-${i}`,
  artist: titles[(i + 2) % titles.length] ?? "",
  artists: artist("North Pier"),
  track: i + 1,
  hasLyrics: false,
  hasCover: false,
  durationMs: 185_400 + i * 1_000_000,
  library: "1",
  path: `${i}.flac`,
  size: 30_000_000,
  suffix: "flac",
  contentType: "audio/flac",
  codec: "flac",
  lossless: true,
  ...(i === 2 ? { missing: true } : {}),
  ...(i === 1 ? { starred: "2026-01-01T00:00:00Z" } : {}),
});

const states: readonly { id: string; show: () => JSX.Element }[] = [
  { id: "waiting", show: () => <Waiting /> },
  { id: "waiting-grid", show: () => <GridWaiting /> },
  { id: "empty-library", show: () => <EmptyLibrary /> },
  { id: "empty", show: () => <Message icon="star" title="Nothing starred yet" action={<button type="button" class="button">Go to the albums</button>}><p>What you star is found here.</p></Message> },
  { id: "offline", show: () => <Failed error={new OfflineError()} retry={() => say("Tried again")} /> },
  { id: "not-here", show: () => <Failed error={new ApiError(404, "not-found", "There is no such album.")} retry={() => undefined} /> },
  { id: "failed", show: () => <Failed error={new ApiError(500, "internal", "Something went wrong in the server; its log says more.")} retry={() => say("Tried again")} /> },
  {
    id: "buttons",
    show: () => (
      <div class="actions">
        <button type="button" class="button primary"><Icon name="play" /> Play</button>
        <button type="button" class="button"><Icon name="shuffle" /> Shuffle</button>
        <button type="button" class="button" disabled>Not now</button>
        <button type="button" class="button danger">Delete for good</button>
        <IconButton icon="share" label="Share" onClick={() => undefined} />
        <StarButton thing={{ id: "on", starred: "2026-01-01T00:00:00Z" }} name="something starred" />
        <StarButton thing={{ id: "off" }} name="something else" />
      </div>
    ),
  },
  { id: "messages", show: () => <div class="actions"><button type="button" class="button" onClick={() => say("Added “Elevation” to the queue")}>Say</button><button type="button" class="button" onClick={() => complain(new OfflineError())}>Complain</button></div> },
  { id: "choices", show: () => <Choices /> },
  { id: "covers", show: () => <div class="actions"><For each={titles}>{(name, i) => <div class="story-cover"><Cover id={`c-${i()}`} has={false} name={name} size={120} round={i() % 3 === 2} /></div>}</For></div> },
  { id: "albums", show: () => <div class="grid"><For each={titles.map(album)}>{(a) => <AlbumCard album={a} />}</For></div> },
  { id: "tracks", show: () => <TrackList tracks={titles.map(track)} label="Tracks" showAlbum /> },
  { id: "album-tracks", show: () => <TrackList tracks={titles.map(track)} label="Tracks of an album" numbered albumArtist="North Pier" /> },
  { id: "sign-in", show: () => <div class="story-frame"><SignIn /></div> },
];

function Choices(): JSX.Element {
  const [gain, setGain] = createSignal("auto");
  const [on, setOn] = createSignal(true);
  const [db, setDb] = createSignal(0);
  return (
    <div class="panel stack">
      <Segmented label="Even out loudness" value={gain()} options={["auto", "album", "track", "off"].map((value) => ({ value, label: value }))} hint="Albums keep their own dynamics." onChange={setGain} />
      <Switch label="Protect peaks" on={on()} hint="So that nothing clips." onChange={setOn} />
      <Switch label="Cannot be changed" on={false} disabled onChange={() => undefined} />
      <Dial label="Louder or quieter" min={-12} max={6} step={0.5} value={db()} text={`${db()} dB`} onInput={setDb} />
    </div>
  );
}

function Story(): JSX.Element {
  wearPreferences();
  const [helping, setHelping] = createSignal(false);
  return (
    <PlayerProvider value={createPlayer()}>
      <main id="main" class="story">
        <header class="view-head">
          <h1>States</h1>
          <div class="actions">
            <Segmented label="Theme" value={preferences.theme} options={(["system", "dark", "light"] as const).map((value) => ({ value, label: value }))} onChange={(theme) => prefer({ theme })} />
            <Segmented label="Contrast" value={preferences.contrast} options={(["system", "more"] as const).map((value) => ({ value, label: value }))} onChange={(contrast) => prefer({ contrast })} />
            <Segmented
              label="Language"
              value={preferences.language === "" ? "en" : preferences.language}
              options={(Object.keys(languages) as LanguageTag[]).map((value) => ({ value, label: languages[value].name }))}
              onChange={(language) => void speak(language).then(() => prefer({ language }), complain)}
            />
            <button type="button" class="button" onClick={() => setHelping(true)}>Shortcuts</button>
          </div>
        </header>
        <For each={states}>
          {(state) => (
            <section id={state.id}>
              <h2>
                <a href={`#${state.id}`}>{state.id}</a>
              </h2>
              {state.show()}
            </section>
          )}
        </For>
        {helping() && <Help onClose={() => setHelping(false)} />}
      </main>
      <Toasts />
    </PlayerProvider>
  );
}

const root = document.getElementById("app");
if (root !== null) void speak(preferences.language).then(() => render(() => <Story />, root));
