// Fails where the first view needs more JavaScript than a slow phone's connection should have to fetch: 60 kB, gzipped.
// The first view is the entry and everything it imports statically; the rest comes when it is gone to, or when idle.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const limit = 60_000;
const dist = new URL("dist/", import.meta.url);
/** What the build says of its chunks: file → { entry, imports }. See vite.config.ts. */
const chunks = JSON.parse(readFileSync(new URL(".chunks.json", dist), "utf8"));
const size = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;

const first = new Set();
const follow = (file) => {
  if (first.has(file)) return;
  first.add(file);
  for (const imported of chunks[file]?.imports ?? []) follow(imported);
};
for (const [file, chunk] of Object.entries(chunks)) if (chunk.entry) follow(file);

const total = [...first].reduce((sum, file) => sum + size(file), 0);
const later = Object.keys(chunks).filter((file) => !first.has(file));
const line = `first view: ${total} of ${limit} bytes of JavaScript, gzipped, in ${first.size} files\n`;
if (first.size === 0 || total > limit) {
  process.stderr.write(line);
  for (const file of [...first].sort((a, b) => size(b) - size(a))) process.stderr.write(`  ${size(file)}  ${file}\n`);
  process.exit(1);
}
process.stdout.write(line);
process.stdout.write(`when gone to, or idle: ${later.reduce((sum, file) => sum + size(file), 0)} bytes in ${later.length} files\n`);
for (const file of later.sort((a, b) => size(b) - size(a)).slice(0, 8)) process.stdout.write(`  ${size(file)}  ${file}\n`);
