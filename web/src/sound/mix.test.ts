import { describe, expect, it } from "vitest";
import { curve, type MixEvents, Mixer, rampSeconds } from "./mix";

const rate = 48_000;
const block = 128;
const ramp = Math.round(rate * rampSeconds);

/** A mixer whose output and words are kept. */
function make(channels = 1) {
  const said: string[] = [];
  const consumed = new Map<number, number>();
  const spent = { frames: 0 };
  const on: MixEvents = {
    began: (id) => said.push(`began ${id}`),
    flows: () => said.push("flows"),
    starved: () => said.push("starved"),
    ended: (id) => said.push(`ended ${id}`),
    consumed: (id, n) => consumed.set(id, (consumed.get(id) ?? 0) + n),
    spent: (planes) => (spent.frames += planes[0]?.length ?? 0),
  };
  const mixer = new Mixer(rate, on);
  const planes: number[][] = Array.from({ length: channels }, () => []);
  const render = (blocks: number) => {
    for (let b = 0; b < blocks; b++) {
      const out = Array.from({ length: channels }, () => new Float32Array(block));
      mixer.render(out);
      out.forEach((p, c) => planes[c]?.push(...p));
    }
  };
  return { mixer, said, consumed, spent, render, heard: planes };
}

/** Samples that say where they are from: whole numbers, which 32-bit floats hold exactly. */
const count = (from: number, n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => from + i + 1);
const add = (m: Mixer, id: number, from: number, n: number, piece = 1000) => {
  for (let at = 0; at < n; at += piece) m.add(id, [count(from + at, Math.min(piece, n - at))]);
};
const biggestStep = (samples: readonly number[]): number => samples.reduce((most, v, i) => Math.max(most, i === 0 ? 0 : Math.abs(v - (samples[i - 1] ?? 0))), 0);

describe("the mixer", () => {
  it("joins tracks to the sample, whatever pieces they come in", () => {
    for (const piece of [1, 97, 128, 1000, 16_384]) {
      const { mixer, said, consumed, spent, render, heard } = make();
      mixer.cut(1, 0, 1);
      mixer.play();
      mixer.follow(2, 0, 1);
      add(mixer, 1, 0, 5_003, piece);
      mixer.complete(1);
      add(mixer, 2, 5_003, 4_999, piece);
      mixer.complete(2);
      render(90);
      const out = (heard[0] ?? []).slice(0, 10_002);
      expect(out.every((v, i) => v === i + 1)).toBe(true);
      expect(heard[0]?.slice(10_002).every((v) => v === 0)).toBe(true);
      expect(said).toEqual(["flows", "began 1", "began 2", "ended 2"]);
      expect([consumed.get(1), consumed.get(2)]).toEqual([5_003, 4_999]);
      expect(spent.frames).toBe(10_002);
    }
  });

  it("plays mono on all channels, and evens out loudness by a factor", () => {
    const { mixer, render, heard } = make(2);
    mixer.cut(1, 0, 0.5);
    mixer.play();
    add(mixer, 1, 0, 256);
    mixer.complete(1);
    render(2);
    expect(heard[0]?.[255]).toBe(128);
    expect(heard[1]).toEqual(heard[0]);
  });

  it("waits for enough, and says when it runs dry and when it goes on", () => {
    const { mixer, said, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.add(1, [new Float32Array(100).fill(1)]);
    render(10);
    expect(heard[0]?.every((v) => v === 0)).toBe(true);
    expect(said).toEqual(["starved"]);
    mixer.add(1, [new Float32Array(20_000).fill(1)]);
    render(300);
    expect(said).toEqual(["starved", "flows", "began 1", "starved"]);
    mixer.add(1, [new Float32Array(48_000).fill(1)]);
    render(50);
    expect(said.at(-1)).toBe("flows");
    expect(heard[0]?.at(-1)).toBe(1);
    // Neither running dry nor going on clicks: from full to nothing takes the whole ramp.
    expect(biggestStep((heard[0] ?? []).slice(11 * block))).toBeLessThanOrEqual(1 / ramp + 1e-6);
  });

  it("fades where a track is left and where one is begun in its middle", () => {
    const { mixer, render, heard, consumed } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.add(1, [new Float32Array(20_000).fill(1)]);
    render(20);
    mixer.cut(2, 48_000, 1);
    mixer.add(2, [new Float32Array(20_000).fill(-1)]);
    render(20);
    expect(biggestStep((heard[0] ?? []).slice(block))).toBeLessThanOrEqual(2 / ramp + 1e-6);
    expect(mixer.where()).toMatchObject({ id: 2, frame: 48_000 + 20 * block });
    // What was left is given back.
    expect(consumed.get(1)).toBe(20_000);
  });

  it("fades out to pause, holds the place and goes on", () => {
    const { mixer, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.add(1, [new Float32Array(20_000).fill(1)]);
    render(10);
    let paused = 0;
    mixer.pause(() => paused++);
    render(10);
    expect(paused).toBe(1);
    const at = mixer.where()?.frame;
    render(10);
    expect(mixer.where()?.frame).toBe(at);
    mixer.play();
    render(10);
    expect(heard[0]?.at(-1)).toBe(1);
    expect(biggestStep((heard[0] ?? []).slice(block))).toBeLessThanOrEqual(1 / ramp + 1e-6);
  });

  it("overlaps with equal power, from the very frame on", () => {
    const { mixer, said, render, heard } = make();
    const [long, overlap] = [10_050, 4_000];
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.follow(2, overlap, 1);
    mixer.add(1, [new Float32Array(long).fill(1)]);
    mixer.complete(1);
    mixer.add(2, [new Float32Array(long).fill(0)]);
    mixer.complete(2);
    render(200);
    const out = heard[0] ?? [];
    const from = long - overlap;
    expect(out.slice(0, from).every((v) => v === 1)).toBe(true);
    for (let i = 0; i < overlap; i += 97) expect(out[from + i]).toBeCloseTo(curve(1 - i / overlap, true), 5);
    expect(curve(0.3, true) ** 2 + curve(0.7, true) ** 2).toBeCloseTo(1, 12);
    expect(said).toEqual(["flows", "began 1", "began 2", "ended 2"]);
  });

  it("forgets what is no longer to follow, whenever its samples come", () => {
    const { mixer, said, render, heard, consumed } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    add(mixer, 1, 0, 6_000);
    mixer.complete(1);
    mixer.follow(2, 0, 1);
    add(mixer, 2, 500_000, 1_000);
    mixer.follow(3, 0, 1);
    add(mixer, 2, 500_000, 1_000); // on its way when the queue was changed
    add(mixer, 3, 6_000, 1_000);
    mixer.complete(3);
    render(60);
    expect((heard[0] ?? []).slice(0, 7_000).every((v, i) => v === i + 1)).toBe(true);
    expect(said).toEqual(["flows", "began 1", "began 3", "ended 3"]);
    expect(consumed.get(2)).toBe(2_000);
  });

  it("skips to what was to follow with what is there of it", () => {
    const { mixer, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.add(1, [new Float32Array(20_000)]);
    mixer.follow(2, 0, 1);
    add(mixer, 2, 0, 6_000);
    render(10);
    mixer.cut(2, 0, 1);
    mixer.complete(2);
    render(10);
    expect(heard[0]?.[10 * block]).toBe(1);
    expect(heard[0]?.[10 * block + 1000]).toBe(1001);
  });

  it("plays nothing while it is only loaded", () => {
    const { mixer, said, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.pause(() => said.push("paused"));
    add(mixer, 1, 0, 48_000);
    render(10);
    expect(heard[0]?.every((v) => v === 0)).toBe(true);
    mixer.play();
    render(10);
    expect(heard[0]?.[10 * block]).toBe(1);
    expect(said).toEqual(["paused", "flows", "began 1"]);
  });

  it("changes loudness without a step", () => {
    const { mixer, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    mixer.add(1, [new Float32Array(48_000).fill(1)]);
    render(10);
    mixer.regain(1, 0.25);
    render(100);
    expect(heard[0]?.at(-1)).toBeCloseTo(0.25, 6);
    expect(biggestStep((heard[0] ?? []).slice(block))).toBeLessThan(0.001);
  });

  it("keeps samples that come before the word of what they are for", () => {
    const { mixer, said, consumed, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    add(mixer, 1, 0, 6_000);
    mixer.complete(1);
    mixer.follow(2, 0, 1);
    add(mixer, 2, 500_000, 1_000);
    // Somebody went on, and on again: the page's word is slower than the decoder.
    add(mixer, 3, 600_000, 3_000);
    add(mixer, 4, 0, 5_000);
    mixer.complete(4);
    add(mixer, 5, 5_000, 4_000);
    mixer.complete(5);
    mixer.cut(4, 0, 1);
    mixer.follow(5, 0, 1);
    render(80);
    expect((heard[0] ?? []).slice(0, 9_000).every((v, i) => v === i + 1)).toBe(true);
    expect(said).toEqual(["flows", "began 4", "began 5", "ended 5"]);
    // All of it is given back, also what was passed over and what comes of it later.
    add(mixer, 3, 603_000, 1_000);
    expect([1, 2, 3, 4, 5].map((id) => consumed.get(id))).toEqual([6_000, 1_000, 4_000, 5_000, 4_000]);
  });

  it("does not take up again what was no longer to follow", () => {
    const { mixer, said, consumed, render } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    add(mixer, 1, 0, 6_000);
    mixer.complete(1);
    mixer.follow(2, 0, 1);
    mixer.follow(0, 0, 1);
    add(mixer, 2, 0, 1_000); // on its way
    render(60);
    add(mixer, 2, 1_000, 1_000);
    expect(said).toEqual(["flows", "began 1", "ended 1"]);
    expect(consumed.get(2)).toBe(2_000);
  });

  it("goes on where a skip meets the join that it skips to", () => {
    const { mixer, said, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    add(mixer, 1, 0, 5_000);
    mixer.complete(1);
    mixer.follow(2, 0, 1);
    add(mixer, 2, 5_000, 6_000);
    mixer.complete(2);
    render(50);
    expect(mixer.where()?.id).toBe(2);
    mixer.cut(2, 0, 1);
    render(50);
    expect((heard[0] ?? []).slice(0, 11_000).every((v, i) => v === i + 1)).toBe(true);
    expect(said).toEqual(["flows", "began 1", "began 2", "flows", "ended 2"]);
  });

  it("cuts to what was named too late to follow", () => {
    const { mixer, said, render, heard } = make();
    mixer.cut(1, 0, 1);
    mixer.play();
    add(mixer, 1, 0, 1_280);
    mixer.complete(1);
    render(20);
    expect(said.at(-1)).toBe("ended 1");
    mixer.follow(2, 0, 1);
    add(mixer, 2, 0, 4_000);
    mixer.complete(2);
    render(5);
    expect(said.at(-1)).toBe("ended 1");
    mixer.cut(2, 0, 1);
    render(10);
    expect(said.slice(-2)).toEqual(["flows", "began 2"]);
    expect((heard[0] ?? []).slice(25 * block, 35 * block)).toEqual([...count(0, 10 * block)]);
  });

  it("is paused where there is nothing left to fade", () => {
    for (const follows of [0, 2]) {
      const { mixer, said, render } = make();
      mixer.cut(1, 0, 1);
      mixer.play();
      add(mixer, 1, 0, 10 * block);
      mixer.complete(1);
      mixer.follow(follows, 0, 1);
      render(9);
      // The track ends before the fade does, and nothing of what follows is here.
      mixer.pause(() => said.push("paused"));
      render(2);
      expect(said.at(-1)).toBe("paused");
    }
  });
});
