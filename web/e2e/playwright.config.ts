import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../test-results/runs",
  workers: 2, // each has an account of its own
  retries: process.env.CI === undefined ? 0 : 1, // the machine does other things, too; what passes only then is told as flaky, and is a defect
  fullyParallel: true,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    baseURL: process.env.TUTTI_URL ?? "http://127.0.0.1:4533",
    viewport: { width: 1440, height: 900 },
    serviceWorkers: "block", // page.route sees nothing of what a worker fetches; offline.spec.ts allows it
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    },
  },
});
