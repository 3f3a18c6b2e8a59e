// The player of a shared page. Without it the page is a list of links to the music, which browsers play one at a time.
const $ = (id) => document.getElementById(id);
const links = [...document.querySelectorAll("#tracks a")];
const pageTitle = document.title;

/** A track begins to be fetched so long before the one before it ends, in seconds. */
const ahead = 20;

/** What can be undone of a track that is just beginning: pressing "previous" later starts it again, in seconds. */
const restart = 3;

/** Two elements take turns: while one plays, the other fetches what comes next. */
const deck = () => ({ audio: new Audio(), index: -1, converted: false });
let live = deck();
let spare = deck();
let current = 0;
let wanted = false; // somebody wants music
let dragging = false;

const titleOf = (link) => link.querySelector(".title").textContent;
const playable = (link) => link.dataset.type === "" || live.audio.canPlayType(link.dataset.type) !== "";

function clock(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** How long the current track is: the library knows it before the file has come. */
const length = () => Number(links[current].dataset.ms) / 1000;

function fill(slider) {
  slider.style.setProperty("--part", `${(slider.value / Math.max(1, slider.max)) * 100}%`);
}

function showPosition(seconds) {
  const slider = $("position");
  slider.max = Math.max(1, Math.floor(length()));
  slider.value = seconds;
  slider.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(length())}`);
  fill(slider);
  $("elapsed").textContent = clock(seconds);
  $("length").textContent = clock(length());
}

function showTrack() {
  const link = links[current];
  for (const other of links) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  $("now-title").textContent = titleOf(link);
  $("now-artist").textContent = link.dataset.artist;
  const cover = $("now-cover");
  cover.hidden = link.dataset.cover === undefined;
  if (!cover.hidden) cover.src = link.dataset.cover;
  $("previous").disabled = current === 0;
  $("next").disabled = current === links.length - 1;
  showPosition(live.index === current ? live.audio.currentTime : 0);
  if (!("mediaSession" in navigator)) return;
  const artwork = link.dataset.cover ? [{ src: new URL(link.dataset.cover, location.href).href, sizes: "320x320" }] : [];
  navigator.mediaSession.metadata = new MediaMetadata({ title: titleOf(link), artist: link.dataset.artist, album: pageTitle, artwork });
}

function showState() {
  document.body.classList.toggle("playing", wanted);
  $("toggle").setAttribute("aria-label", wanted ? "Pause" : "Play");
  const link = links[current];
  document.title = wanted ? `${titleOf(link)} – ${link.dataset.artist}` : pageTitle;
  if ("mediaSession" in navigator) navigator.mediaSession.playbackState = wanted ? "playing" : "paused";
}

function load(d, index, asMP3) {
  d.index = index;
  d.converted = asMP3;
  d.audio.preload = "auto";
  d.audio.src = links[index].href + (asMP3 ? "?format=mp3" : "");
}

function unload(d) {
  if (d.index < 0) return;
  d.index = -1;
  d.audio.removeAttribute("src");
  d.audio.load();
}

async function begin() {
  const { audio } = live;
  wanted = true;
  showState();
  try {
    await audio.play();
  } catch (problem) {
    // AbortError: another track was chosen meanwhile. NotSupportedError: the error event below deals with it.
    if (problem.name !== "NotAllowedError" || live.audio !== audio) return;
    wanted = false;
    showState();
    $("notice").textContent = "Press play to start.";
  }
}

function play(index) {
  $("notice").textContent = "";
  live.audio.pause();
  current = index;
  if (spare.index === index) [live, spare] = [spare, live];
  else load(live, index, !playable(links[index]));
  unload(spare);
  live.audio.volume = $("volume").value / 100;
  live.audio.muted = $("mute").getAttribute("aria-pressed") === "true";
  showTrack();
  begin();
}

function toggle() {
  if (live.index !== current || live.audio.error) play(current);
  else if (wanted) {
    wanted = false;
    live.audio.pause();
    showState();
  } else begin();
}

function step(by) {
  if (by < 0 && live.audio.currentTime > restart) seek(0);
  else if (links[current + by]) play(current + by);
}

function seek(seconds) {
  if (live.index !== current) load(live, current, !playable(links[current]));
  live.audio.currentTime = Math.min(Math.max(0, seconds), Math.max(0, length() - 0.5));
  showPosition(live.audio.currentTime);
}

for (const d of [live, spare]) {
  const on = (name, run) => d.audio.addEventListener(name, () => live === d && run(d.audio));
  on("timeupdate", (audio) => {
    if (!dragging && !document.hidden) showPosition(audio.currentTime);
    const next = current + 1;
    if (next < links.length && spare.index !== next && length() - audio.currentTime < ahead) load(spare, next, !playable(links[next]));
    if ("mediaSession" in navigator && length() > 0) navigator.mediaSession.setPositionState({ duration: length(), position: Math.min(audio.currentTime, length()) });
  });
  on("waiting", () => document.body.classList.add("waiting"));
  on("playing", () => document.body.classList.remove("waiting"));
  on("pause", (audio) => {
    // The system may pause us: a call, another app, unplugged headphones.
    if (audio.ended || !wanted || audio.readyState < 2) return;
    wanted = false;
    showState();
  });
  on("ended", () => {
    if (current + 1 < links.length) {
      play(current + 1);
      return;
    }
    wanted = false;
    current = 0;
    unload(live);
    showTrack();
    showState();
  });
  on("error", (audio) => {
    document.body.classList.remove("waiting");
    if (d.index < 0) return;
    if (!d.converted && audio.error?.code !== MediaError.MEDIA_ERR_NETWORK) {
      load(d, d.index, true);
      if (wanted) begin();
      return;
    }
    wanted = false;
    showState();
    $("notice").textContent = `${titleOf(links[current])} cannot be played right now.`;
  });
  d.audio.addEventListener("error", () => {
    if (spare === d) d.index = -1; // tried again when it is its turn
  });
}

links.forEach((link, index) =>
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (index === current && live.index === index) toggle();
    else play(index);
  }),
);

/** Gives the page the cover's hue: the average of its pixels, weighted by how colourful they are. */
function colour(image) {
  const side = 16;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, side, side);
  const pixels = context.getImageData(0, 0, side, side).data;
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  let a = 0;
  let b = 0;
  let weight = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const [red, green, blue] = [0, 1, 2].map((n) => linear(pixels[i + n] / 255));
    // OKLab (Ottosson, 2020), of which only the two axes of colour are needed.
    const l = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
    const m = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
    const s = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
    const x = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
    const y = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
    const w = Math.hypot(x, y);
    a += x * w;
    b += y * w;
    weight += w;
  }
  const chroma = weight > 0 ? Math.hypot(a, b) / weight : 0;
  if (chroma < 0.015) return; // a grey picture keeps the page's own hue
  const root = document.documentElement.style;
  root.setProperty("--hue", String(Math.round(((Math.atan2(b, a) * 180) / Math.PI + 360) % 360)));
  root.setProperty("--chroma", String(Math.min(0.07, chroma).toFixed(3)));
}

const cover = $("cover");
if (cover) {
  if (cover.complete && cover.naturalWidth > 0) colour(cover);
  else cover.addEventListener("load", () => colour(cover), { once: true });
}

if (links.length > 0) {
  const position = $("position");
  $("start").addEventListener("click", toggle);
  $("toggle").addEventListener("click", toggle);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  position.addEventListener("input", () => {
    dragging = true;
    showPosition(Number(position.value));
  });
  position.addEventListener("change", () => {
    dragging = false;
    seek(Number(position.value));
  });
  $("volume").addEventListener("input", () => {
    live.audio.volume = $("volume").value / 100;
    fill($("volume"));
  });
  $("mute").addEventListener("click", () => {
    live.audio.muted = !live.audio.muted;
    $("mute").setAttribute("aria-pressed", String(live.audio.muted));
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button, input, a")) return;
    if (event.key === " ") toggle();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") seek(live.audio.currentTime + (event.key === "ArrowLeft" ? -5 : 5));
    else return;
    event.preventDefault();
  });
  if ("mediaSession" in navigator) {
    const actions = { play: toggle, pause: toggle, previoustrack: () => step(-1), nexttrack: () => step(1), seekto: (d) => seek(d.seekTime) };
    for (const [name, run] of Object.entries(actions)) navigator.mediaSession.setActionHandler(name, run);
  }
  fill($("volume"));
  $("start").hidden = false;
  $("player").hidden = false;
  showTrack();
  showState();
}
