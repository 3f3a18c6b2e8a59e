import { expect, it } from "vitest";
import { tintOfPixels } from "./tint";

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
