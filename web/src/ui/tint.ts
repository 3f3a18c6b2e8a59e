/**
 * The colour of a picture, to light a view with: the average of its pixels weighted by how colourful they are, with the
 * lightness held in a range on which text stays legible. undefined for a grey picture.
 */
export function tintOf(image: HTMLImageElement): string | undefined {
  const side = 16;
  const canvas = document.createElement("canvas");
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) return undefined;
  context.drawImage(image, 0, 0, side, side);
  return tintOfPixels(context.getImageData(0, 0, side, side).data);
}

/** pixels are red, green, blue and alpha from 0 to 255, one after the other. */
export function tintOfPixels(pixels: ArrayLike<number>): string | undefined {
  let x = 0;
  let y = 0;
  let weight = 0;
  let chroma = 0;
  for (let i = 0; i + 2 < pixels.length; i += 4) {
    const r = (pixels[i] ?? 0) / 255;
    const g = (pixels[i + 1] ?? 0) / 255;
    const b = (pixels[i + 2] ?? 0) / 255;
    const max = Math.max(r, g, b);
    const c = max - Math.min(r, g, b);
    if (c < 0.04) continue;
    // Hue as an angle (the hexagon of HSV), averaged as directions so that red's two ends meet.
    const sector = max === r ? ((g - b) / c) % 6 : max === g ? (b - r) / c + 2 : (r - g) / c + 4;
    const angle = (sector * Math.PI) / 3;
    const w = c * c;
    x += Math.cos(angle) * w;
    y += Math.sin(angle) * w;
    weight += w;
    chroma += c * w;
  }
  if (weight < 0.05) return undefined;
  const degrees = Math.round(((Math.atan2(y, x) * 180) / Math.PI + 360) % 360);
  const saturation = Math.round(30 + Math.min(1, chroma / weight) * 45);
  return `hsl(${degrees} ${saturation}% 50%)`;
}
