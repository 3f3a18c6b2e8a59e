import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { JobEvents } from "./job";
import type { Taken, ToWorker, Wanted } from "./messages";

const rate = 48_000;

/** Jobs that decode nothing but what a test gives, second by second as long as there is room. */
const { jobs } = vi.hoisted(() => ({ jobs: new Map<number, { given: number; end: () => void; stopped: boolean }>() }));
vi.mock("./job", () => ({
  Job: class {
    private ended = false;
    private readonly state = {
      given: 0,
      stopped: false,
      end: () => {
        this.ended = true;
        this.on.complete();
      },
    };
    constructor(
      readonly wanted: Wanted,
      private readonly on: JobEvents,
    ) {
      jobs.set(wanted.id, this.state);
    }
    prepare() {
      return;
    }
    stop() {
      this.state.stopped = true;
    }
    async run() {
      for (;;) {
        await this.on.room();
        if (this.state.stopped || this.ended) return;
        this.state.given++;
        this.on.give([new Float32Array(rate)]);
        await Promise.resolve();
      }
    }
  },
}));

const scope = globalThis as unknown as { onmessage: (e: { data: ToWorker }) => void };
const say = async (data: ToWorker) => {
  scope.onmessage({ data });
  await settled();
};
const settled = () => new Promise((resolve) => setTimeout(resolve));
const port = { onmessage: undefined as unknown as (e: { data: Taken }) => void, postMessage: () => undefined, close: () => undefined };
const wanted = (id: number): Wanted => ({ id, output: 1, sampleRate: rate, channels: 1, url: "", offsetUrl: "", fromMs: 0 });
const given = (id: number) => jobs.get(id)?.given ?? 0;

describe("the decoding worker", () => {
  beforeAll(async () => {
    vi.stubGlobal("onmessage", undefined);
    vi.stubGlobal("postMessage", () => undefined);
    await import("./worker");
  });
  afterAll(() => vi.unstubAllGlobals());
  beforeEach(async () => {
    await say({ do: "stop" });
    jobs.clear();
    await say({ do: "output", output: 1, port: port as unknown as MessagePort });
  });

  it("decodes so far ahead, and goes on when enough of it was played", async () => {
    await say({ do: "load", wanted: wanted(1), from: 0 });
    expect(given(1)).toBe(30);
    for (let s = 0; s < 9; s++) port.onmessage({ data: { id: 1, frames: rate, spent: [] } });
    await settled();
    expect(given(1)).toBe(30);
    for (let s = 0; s < 3; s++) port.onmessage({ data: { id: 1, frames: rate, spent: [] } });
    await settled();
    expect(given(1)).toBeGreaterThan(40);
  });

  it("goes on with the last track when somebody skips to it while all the room is taken", async () => {
    await say({ do: "load", wanted: wanted(2), from: 0 });
    await say({ do: "follow", wanted: wanted(3) });
    jobs.get(2)?.end(); // decoded to its end, which leaves no room for the next
    await settled();
    expect(given(3)).toBe(0);
    await say({ do: "heard", id: 3 });
    expect(given(3)).toBe(30);
    expect(jobs.get(2)?.stopped).toBe(true);
  });
});
