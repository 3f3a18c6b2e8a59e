import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, type Plugin } from "vite";
import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

/** Files of dist that a part of the page may ask for, as slash-separated names relative to it. */
function filesOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(js|css|svg|png|webmanifest|woff2|wasm)$/.test(entry.name) && entry.name !== "sw.js")
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/**
 * Builds the service worker by itself, once the names of the page's files are known. It stands beside index.html, since
 * a worker has power only over what lies below it, and is one plain script, since not every browser takes modules there.
 */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    writeBundle: {
      sequential: true,
      async handler({ dir }) {
        if (dir === undefined) return;
        const files = filesOf(dir);
        // Names say what is in assets/; of the others, the content does.
        const hash = createHash("sha256").update(readFileSync(join(dir, "index.html")));
        for (const name of files) hash.update(name).update(name.startsWith("assets/") ? "" : readFileSync(join(dir, name)));
        await build({
          configFile: false,
          logLevel: "warn",
          publicDir: false,
          define: { BUILD: JSON.stringify(hash.digest("hex").slice(0, 12)), FILES: JSON.stringify(files) },
          build: {
            outDir: dir,
            emptyOutDir: false,
            target: "es2022",
            lib: { entry: join(import.meta.dirname, "src/sw/sw.ts"), formats: ["iife"], name: "tutti", fileName: () => "sw.js" },
          },
        });
      },
    },
  };
}

/**
 * Writes name.br and name.gz beside every text file, so that the server never compresses the page while it runs. It comes
 * after the service worker, which is such a file, too.
 */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    writeBundle: {
      sequential: true,
      handler({ dir }) {
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
    },
  };
}

/**
 * Writes two files whose names begin with a dot, which are not served: one that lets the Go package compile before the
 * page is built (emptying dist removes it), and one that says what each chunk imports, for size.mjs.
 */
function dotFiles(): Plugin {
  return {
    name: "dot-files",
    apply: "build",
    writeBundle({ dir }, bundle) {
      if (dir === undefined) return;
      writeFileSync(join(dir, ".gitkeep"), "");
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
      writeFileSync(join(dir, ".chunks.json"), JSON.stringify(Object.fromEntries(chunks.map((c) => [c.fileName, { entry: c.isEntry, imports: c.imports }]))));
    },
  };
}

export default defineConfig({
  // Relative, because the server may stand below a path: it writes the path into index.html itself.
  base: "./",
  plugins: [solid(), serviceWorker(), precompress(), dotFiles()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy wants files
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": process.env.TUTTI_URL ?? "http://127.0.0.1:4533" } },
  // Tests go through every format byte by byte; a busy machine takes its time over that.
  test: { include: ["src/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});
