// A player made of @sendspin/sendspin-js, without a loudspeaker: in node and in a browser alike. It tells what happens, and
// hands over the samples that it is given.
//
// "due" is when the player would let a chunk be heard, by its own estimate of the server's clock, in microseconds of this
// machine's time: what two players say of one chunk is how far apart they are.
export function makePlayer(SendspinCore, { url, name, codecs, tell }) {
  const kept = new Map();
  const core = new SendspinCore({
    baseUrl: url,
    playerId: name,
    clientName: name,
    codecs,
    storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) },
    reconnect: { baseDelayMs: 200, maxDelayMs: 1000 },
    onStateChange: (state) => tell({ state: { volume: state.volume, muted: state.muted, server: state.serverState, group: state.groupState } }),
  });
  core.onStreamStart = (format) => tell({ start: format });
  core.onStreamClear = () => tell({ clear: true });
  core.onStreamEnd = () => tell({ end: true });
  core.onConnectionOpen = () => tell({ open: true });
  core.onConnectionClose = () => tell({ close: true });
  core.onAudioData = ({ samples: [left, right], serverTimeUs }) => {
    const block = new Int16Array(2 * left.length);
    for (let i = 0; i < left.length; i++) {
      block[2 * i] = whole(left[i]);
      block[2 * i + 1] = whole(right[i]);
    }
    const clock = core._timeFilter;
    const due = clock.is_synchronized ? Math.round(clock.computeClientTime(serverTimeUs) + performance.timeOrigin * 1000) : 0;
    tell({ at: serverTimeUs, due, pcm: base64(new Uint8Array(block.buffer)) });
  };
  return core;
}

function base64(bytes) {
  let text = "";
  for (const b of bytes) text += String.fromCharCode(b);
  return btoa(text);
}

// A browser's decoder may give 1.
const whole = (sample) => Math.min(Math.round(sample * 32768), 32767);
