// The player in node: it tells on standard output, a line of JSON each, and does what it reads on standard input, a line of
// JSON with a command's name and what belongs to it.
//
//   node --experimental-websocket node.mjs URL NAME
import { register } from "node:module";
import { createInterface } from "node:readline";
import { makePlayer } from "./player.js";

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
console.log = console.warn = console.error = (...words) => process.stderr.write(words.join(" ") + "\n");

const [url, name] = process.argv.slice(2);
const { SendspinCore } = await import("@sendspin/sendspin-js");
const core = makePlayer(SendspinCore, { url, name, codecs: ["pcm"], tell: (line) => process.stdout.write(JSON.stringify(line) + "\n") });
await core.connect();
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  if (command === "quit") {
    core.disconnect("shutdown");
    process.exit(0);
  }
  core.sendCommand(command, rest);
}
process.exit(0);
