// The player of a shared page. Without it the page is a list of links to the music, which browsers play one at a time.
const audio = document.getElementById("audio");
const links = [...document.querySelectorAll("#tracks a")];
const notice = document.getElementById("notice");
const previous = document.getElementById("previous");
const next = document.getElementById("next");
const pageTitle = document.title;
let current = -1;
let converted = false; // the track is playing as MP3, because the original could not be played

const title = (link) => link.querySelector(".title").textContent;
const playable = (link) => link.dataset.type === "" || audio.canPlayType(link.dataset.type) !== "";

function show(index) {
  current = index;
  links.forEach((link, i) => {
    if (i === index) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  const link = links[index];
  document.getElementById("now-title").textContent = title(link);
  document.getElementById("now-artist").textContent = link.dataset.artist;
  document.title = `${title(link)} – ${link.dataset.artist}`;
  previous.disabled = index === 0;
  next.disabled = index === links.length - 1;
  if ("mediaSession" in navigator) {
    const artwork = link.dataset.cover ? [{ src: new URL(link.dataset.cover, location.href).href, sizes: "320x320" }] : [];
    navigator.mediaSession.metadata = new MediaMetadata({ title: title(link), artist: link.dataset.artist, album: pageTitle, artwork });
  }
}

function load(index, asMP3) {
  converted = asMP3;
  audio.src = links[index].href + (asMP3 ? "?format=mp3" : "");
}

async function play(index) {
  notice.textContent = "";
  show(index);
  load(index, !playable(links[index]));
  try {
    await audio.play();
  } catch (problem) {
    // AbortError: another track was chosen meanwhile. NotSupportedError: the error event below deals with it.
    if (problem.name === "NotAllowedError") notice.textContent = "Press play to start.";
  }
}

const step = (by) => {
  if (current + by >= 0 && current + by < links.length) play(current + by);
};

links.forEach((link, index) =>
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (index === current && !audio.error) {
      if (audio.paused) audio.play();
      else audio.pause();
    } else play(index);
  }),
);
previous.addEventListener("click", () => step(-1));
next.addEventListener("click", () => step(1));
audio.addEventListener("ended", () => step(1));
audio.addEventListener("play", () => document.body.classList.add("playing"));
audio.addEventListener("pause", () => document.body.classList.remove("playing"));
audio.addEventListener("error", () => {
  if (!converted && audio.error?.code !== MediaError.MEDIA_ERR_NETWORK) {
    load(current, true);
    audio.play().catch(() => {}); // a second failure comes back here, with converted set
    return;
  }
  notice.textContent = `${title(links[current])} cannot be played right now.`;
});
if ("mediaSession" in navigator) {
  navigator.mediaSession.setActionHandler("previoustrack", () => step(-1));
  navigator.mediaSession.setActionHandler("nexttrack", () => step(1));
}

if (links.length > 0) {
  document.querySelector(".player").hidden = false;
  show(0);
  document.title = pageTitle;
  load(0, !playable(links[0]));
}
