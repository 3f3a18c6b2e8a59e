/**
 * A media element that plays silence while Web Audio plays music. Systems give media keys, a lock screen and the right
 * to go on in the background to media elements only: Chromium and Firefox make no media session for an AudioContext alone
 * (Media Session, §4), and iOS stops a page's sound without one. Chromium wants more than 5 s of it.
 */
export interface Silence {
  play(): void;
  pause(): void;
  dispose(): void;
}

const rate = 8_000;
const seconds = 10;

/** Silence as a WAV file: mono, 8 bits, whose middle is 128 (RFC 2361 names the format tag, 1 for PCM). */
export function silentWav(): Uint8Array<ArrayBuffer> {
  const samples = rate * seconds;
  const bytes = new Uint8Array(44 + samples).fill(128, 44);
  const view = new DataView(bytes.buffer);
  const text = (at: number, s: string) => [...s].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + samples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  text(36, "data");
  view.setUint32(40, samples, true);
  return bytes;
}

/** onInterrupted: the system stopped it, for a call or another app or because headphones were unplugged. */
export function makeSilence(onInterrupted: () => void): Silence {
  const audio = new Audio();
  audio.loop = true;
  const url = URL.createObjectURL(new Blob([silentWav()], { type: "audio/wav" }));
  audio.src = url;
  let wanted = false;
  audio.addEventListener("pause", () => {
    // The event of a pause of ours may come when it plays again.
    if (!wanted || !audio.paused) return;
    wanted = false;
    onInterrupted();
  });
  return {
    play() {
      wanted = true;
      // Where a browser refuses, the music plays all the same; only the system's controls are missing.
      audio.play().catch(() => undefined);
    },
    pause() {
      wanted = false;
      audio.pause();
    },
    dispose() {
      wanted = false;
      audio.removeAttribute("src");
      audio.load();
      URL.revokeObjectURL(url);
    },
  };
}
