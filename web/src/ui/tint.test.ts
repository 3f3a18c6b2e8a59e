import { expect, it } from "vitest";
import { contrast, luminance, type Rgb, schemeOf, swatchesOf, tintOfPixels } from "./tint";

const picture = (...colours: [number, number, number][]) => colours.flatMap((c) => [...c, 255]);

it("takes the hue of what is colourful", () => {
  expect(tintOfPixels(picture([200, 20, 20], [90, 90, 90], [91, 90, 90]))).toMatch(/^hsl\(0 /);
  expect(tintOfPixels(picture([20, 40, 220], [20, 40, 220]))).toMatch(/^hsl\(23[0-9] /);
});

it("meets in the middle of red's two ends", () => {
  expect(tintOfPixels(picture([255, 0, 40], [255, 40, 0]))).toMatch(/^hsl\((0|360|359|1) /);
});

it("has nothing to say of grey", () => {
  expect(tintOfPixels(picture([10, 10, 10], [200, 200, 201], [128, 128, 128]))).toBeUndefined();
  expect(tintOfPixels([])).toBeUndefined();
});

it("measures contrast as WCAG does", () => {
  expect(contrast([0, 0, 0], [1, 1, 1])).toBeCloseTo(21, 5);
  expect(luminance([1, 0, 0])).toBeCloseTo(0.2126, 4);
  // #767676 is the lightest grey that passes on white.
  expect(contrast([0x76 / 255, 0x76 / 255, 0x76 / 255], [1, 1, 1])).toBeGreaterThan(4.5);
  expect(contrast([0x77 / 255, 0x77 / 255, 0x77 / 255], [1, 1, 1])).toBeLessThan(4.5);
});

it("finds what a picture is made of, and puts what looks alike together", () => {
  const many = (n: number, c: [number, number, number]) => Array.from({ length: n }, (_, i): [number, number, number] => [c[0] + (i % 3), c[1], c[2]]);
  const found = swatchesOf(picture(...many(60, [20, 60, 160]), ...many(30, [240, 180, 40]), ...many(10, [128, 128, 128])));
  expect(found).toHaveLength(3);
  expect(found.reduce((sum, s) => sum + s.share, 0)).toBeCloseTo(1, 5);
  expect(found.at(-1)?.chroma).toBeLessThan(0.01);
});

it("keeps text legible on every ground, and between them, for any picture", () => {
  // A fixed sequence (Park and Miller's minimal standard generator), so that a failure can be looked at again.
  let seed = 20_261_123;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const blend = (a: Rgb, b: Rgb, t: number): Rgb => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
  for (let n = 0; n < 400; n++) {
    const pixels = picture(...Array.from({ length: 1 + Math.floor(random() * 6) }, (): [number, number, number] => [Math.floor(random() * 256), Math.floor(random() * 256), Math.floor(random() * 256)]));
    for (const dark of [true, false]) {
      const s = schemeOf(swatchesOf(pixels), dark);
      const [a, b, c] = s.grounds;
      for (const ground of [a, b, c, blend(a, b, 0.5), blend(b, c, 0.5), blend(a, c, 0.5)]) {
        expect(contrast(s.text, ground)).toBeGreaterThanOrEqual(7);
        expect(contrast(s.muted, ground)).toBeGreaterThanOrEqual(4.5);
        expect(contrast(s.accent, ground)).toBeGreaterThanOrEqual(4.5);
      }
      expect(contrast(s.onAccent, s.accent)).toBeGreaterThanOrEqual(4.5);
    }
  }
});

it("has a scheme for a picture without colours", () => {
  const s = schemeOf(swatchesOf(picture([10, 10, 10], [240, 240, 240])), true);
  expect(contrast(s.text, s.grounds[0])).toBeGreaterThan(7);
});
