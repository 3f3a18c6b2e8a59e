import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const credentials = { name: "listener", password: "a long enough password" };

/** A server of a test's own, with music of its own. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts bin/tutti (or $TUTTI_BIN), with more flags, over what write puts into the music folder; it resolves as soon as the server says it is ready. */
export async function startServer(write: (music: string) => Promise<void>, flags: readonly string[] = []): Promise<Server> {
  const work = await mkdtemp(join(tmpdir(), "tutti-sound-"));
  const music = join(work, "music");
  await mkdir(music);
  await write(music);
  const binary = process.env.TUTTI_BIN ?? new URL("../../bin/tutti", import.meta.url).pathname;
  const child: ChildProcess = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data", join(work, "data"), "--music", music, ...flags], {
    env: { ...process.env, TUTTI_ANALYSE_ENABLED: "false", TUTTI_ADMIN_USER: credentials.name, TUTTI_ADMIN_PASSWORD: credentials.password },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`tutti ended with ${code}`)));
    if (child.stdout) createInterface({ input: child.stdout }).on("line", (line) => {
      const ready = /^tutti ready at (\S+)/.exec(line);
      if (ready?.[1] !== undefined) resolve(ready[1]);
    });
  });
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      child.removeAllListeners("exit");
      await new Promise((resolve) => {
        child.once("exit", resolve);
        child.kill("SIGTERM");
      });
      await rm(work, { recursive: true, force: true });
    },
  };
}
