import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

/** Writes name.br and name.gz beside every text file, so that the server never compresses the page while it runs. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    writeBundle({ dir }) {
      if (dir === undefined) return;
      for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|svg|webmanifest)$/.test(entry.name)) continue;
        const file = join(entry.parentPath, entry.name);
        const plain = readFileSync(file);
        if (plain.length < 1024) continue;
        writeFileSync(`${file}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
        writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
      }
    },
  };
}

/** Keeps the file that lets the Go package compile before the page is built; emptying dist removes it. */
function keepGitkeep(): Plugin {
  return {
    name: "keep-gitkeep",
    apply: "build",
    writeBundle({ dir }) {
      if (dir !== undefined) writeFileSync(join(dir, ".gitkeep"), "");
    },
  };
}

export default defineConfig({
  // Relative, because the server may stand below a path: it writes the path into index.html itself.
  base: "./",
  plugins: [solid(), precompress(), keepGitkeep()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy wants files
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": process.env.TUTTI_URL ?? "http://127.0.0.1:4533" } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
