import { createServer, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Stands between a browser and a server: it adds files of the test's own, and is a connection that can be lost. */
export interface Proxy {
  readonly url: string;
  /** Requests that came, by path and Range. */
  readonly seen: { path: string; range: string }[];
  /** Breaks every answer off that is under way, and refuses all until mend. */
  cut(): void;
  mend(): void;
  /** Bytes a second of each answer; 0 for as fast as it goes. */
  pace(bytesPerSecond: number): void;
  stop(): Promise<void>;
}

export async function startProxy(target: string, files: Record<string, string>): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<ServerResponse>();
  const seen: Proxy["seen"] = [];
  let broken = false;
  let paced = 0;
  const server = createServer((req, res) => {
    if (broken) {
      res.destroy();
      return;
    }
    const own = files[req.url ?? ""];
    if (own !== undefined) {
      res.writeHead(200, { "Content-Type": "text/javascript" }).end(own);
      return;
    }
    seen.push({ path: req.url ?? "", range: req.headers.range ?? "" });
    open.add(res);
    res.on("close", () => open.delete(res));
    const to = request({ hostname, port, path: req.url, method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      if (paced === 0 || !(req.url ?? "").includes("/stream")) {
        answer.pipe(res);
        return;
      }
      answer.on("data", (piece: Buffer) => {
        res.write(piece);
        answer.pause();
        setTimeout(() => answer.resume(), (piece.length / paced) * 1000);
      });
      answer.on("end", () => res.end());
    });
    to.on("error", () => res.destroy());
    res.on("close", () => to.destroy());
    req.pipe(to);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    cut() {
      broken = true;
      for (const res of open) res.destroy();
      server.closeAllConnections();
    },
    mend() {
      broken = false;
    },
    pace(bytesPerSecond) {
      paced = bytesPerSecond;
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
