// A player made of @sendspin/sendspin-js, without a loudspeaker: it writes the samples that it is given to a file, tells on
// standard output what happens, a line of JSON each, and does what it reads on standard input: a line of JSON with the name
// of a command and what belongs to it.
//
//   node --experimental-websocket sendspin.mjs URL NAME FILE
//
// "due" tells for a chunk when the player would let it be heard, by its own estimate of the server's clock, in microseconds
// of this machine's time: what two players say of one chunk is how far apart they are.
import { closeSync, openSync, writeSync } from "node:fs";
import { register } from "node:module";
import { createInterface } from "node:readline";

// The package is published for bundlers: its imports have no extensions.
register(
  "data:text/javascript," +
    encodeURIComponent(`export async function resolve(name, context, next) {
      try { return await next(name, context); } catch (err) {
        if (name.startsWith(".")) return next(name + ".js", context);
        throw err;
      }
    }`),
);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
console.log = console.warn = console.error = (...words) => process.stderr.write(words.join(" ") + "\n");

const [url, name, file] = process.argv.slice(2);
const { SendspinCore } = await import(process.env.SENDSPIN_JS ?? "@sendspin/sendspin-js");
const kept = new Map();
const core = new SendspinCore({
  baseUrl: url,
  playerId: name,
  clientName: name,
  codecs: ["pcm"],
  storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) },
  reconnect: { baseDelayMs: 200, maxDelayMs: 1000 },
  onStateChange: (state) => tell({ state: { playing: state.isPlaying, volume: state.volume, muted: state.muted, server: state.serverState, group: state.groupState } }),
  onPairingPin: (pin) => tell({ pin }),
  onPairing: (event, detail) => tell({ pairing: event, detail }),
});
const out = openSync(file, "w");
core.onStreamStart = (format, again) => tell({ start: format, again });
core.onStreamClear = () => tell({ clear: true });
core.onStreamEnd = () => tell({ end: true });
core.onConnectionOpen = () => tell({ open: true, clientId: core.clientId, token: core.pairingToken });
core.onConnectionClose = () => tell({ close: true });
core.onAudioData = ({ samples, serverTimeUs }) => {
  const [left, right] = samples;
  const block = Buffer.alloc(left.length * 4);
  for (let i = 0; i < left.length; i++) {
    block.writeInt16LE(Math.round(left[i] * 32768), i * 4);
    block.writeInt16LE(Math.round(right[i] * 32768), i * 4 + 2);
  }
  writeSync(out, block);
  const due = core.timeFilter?.is_synchronized
    ? Math.round(core.timeFilter.computeClientTime(serverTimeUs) + performance.timeOrigin * 1000)
    : null;
  tell({ at: serverTimeUs, n: left.length, due, error: core.timeFilter?.error });
};
await core.connect();
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  switch (command) {
    case "set-volume":
      core.setVolume(rest.volume);
      break;
    case "quit":
      core.disconnect("shutdown");
      closeSync(out);
      process.exit(0);
      break;
    default:
      core.sendCommand(command, rest);
  }
}
