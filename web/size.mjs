// Fails where the first view would fetch more JavaScript than a slow phone's connection should have to: 60 kB, gzipped.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const limit = 60_000;
const dir = new URL("dist/assets/", import.meta.url);
const scripts = readdirSync(dir).filter((name) => name.endsWith(".js"));
const total = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, dir)), { level: 9 }).length, 0);

if (scripts.length === 0 || total > limit) {
  process.stderr.write(`the page's scripts are ${total} bytes gzipped in ${scripts.length} files; the limit is ${limit}\n`);
  process.exit(1);
}
process.stdout.write(`scripts: ${total} of ${limit} bytes, gzipped\n`);
