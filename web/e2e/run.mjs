// Runs the page's tests in Chromium. With TUTTI_URL, TUTTI_USER and TUTTI_PASSWORD they run against that server; without,
// this starts bin/tutti twice: with a generated library, and with an empty one.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { writeLibrary } from "./library.mjs";

const web = fileURLToPath(new URL("..", import.meta.url));
const binary = process.env.TUTTI_BIN ?? join(web, "..", "bin", "tutti");
const credentials = { TUTTI_ADMIN_USER: "listener", TUTTI_ADMIN_PASSWORD: "a long enough password" };
const children = [];

/** Starts a server and resolves to its address as soon as it says it is ready. */
function serve(music, data) {
  const child = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data", data, "--music", music], {
    env: { ...process.env, TUTTI_ANALYSE_ENABLED: "false", ...credentials }, // what is timed is left in peace
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const log = [];
  createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`tutti ended with ${code}\n${log.join("\n")}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const ready = /^tutti ready at (\S+)/.exec(line);
      if (ready) resolve(ready[1]);
    });
  });
}

function stop(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.removeAllListeners("exit");
    child.once("exit", resolve);
    child.kill("SIGTERM");
  });
}

let work;
let code = 1;
try {
  const env = { ...process.env };
  if (!env.TUTTI_URL) {
    work = await mkdtemp(join(tmpdir(), "tutti-page-"));
    const music = join(work, "music");
    const none = join(work, "none");
    await mkdir(none);
    await writeLibrary(music);
    [env.TUTTI_URL, env.TUTTI_EMPTY_URL] = await Promise.all([serve(music, join(work, "data")), serve(none, join(work, "empty-data"))]);
    env.TUTTI_EMPTY_MUSIC = none;
    env.TUTTI_USER = credentials.TUTTI_ADMIN_USER;
    env.TUTTI_PASSWORD = credentials.TUTTI_ADMIN_PASSWORD;
  }
  const tests = spawn(process.execPath, [join(web, "node_modules/@playwright/test/cli.js"), "test", "-c", join(web, "e2e"), ...process.argv.slice(2)], {
    cwd: web,
    env,
    stdio: "inherit",
  });
  code = await new Promise((resolve) => tests.once("exit", (c) => resolve(c ?? 1)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
} finally {
  await Promise.all(children.map(stop));
  if (work) await rm(work, { recursive: true, force: true });
}
process.exit(code);
