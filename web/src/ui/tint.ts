/**
 * Colours out of a picture. A view is lit with one hue of it (tintOf); now playing wears several (schemeOf), and there
 * every pair of text and ground keeps the contrast that WCAG 2.2 asks for, whatever the picture is.
 */

/** Red, green and blue from 0 to 1, as sRGB encodes them. */
export type Rgb = readonly [r: number, g: number, b: number];

/** OKLab: lightness from 0 to 1, and two axes of colour (Björn Ottosson, "A perceptual color space for image processing", 2020). */
type Lab = readonly [l: number, a: number, b: number];

/** The side of the square to which a picture is shrunk before it is looked at. */
const side = 32;

function pixelsOf(image: HTMLImageElement): ArrayLike<number> | undefined {
  const canvas = document.createElement("canvas");
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) return undefined;
  context.drawImage(image, 0, 0, side, side);
  return context.getImageData(0, 0, side, side).data;
}

/**
 * The colour of a picture, to light a view with: the average of its pixels weighted by how colourful they are, with the
 * lightness held in a range on which text stays legible. undefined for a grey picture.
 */
export function tintOf(image: HTMLImageElement): string | undefined {
  return tintOfPixels(pixelsOf(image) ?? []);
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

// ---- Contrast ----

const linear = (v: number): number => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const encoded = (v: number): number => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);

/** Relative luminance, 0 to 1 (WCAG 2.2, "relative luminance"). */
export const luminance = ([r, g, b]: Rgb): number => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

/** The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrast(one: Rgb, other: Rgb): number {
  const a = luminance(one);
  const b = luminance(other);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

// ---- OKLab, with the matrices of its definition ----

function labOf([red, green, blue]: Rgb): Lab {
  const r = linear(red);
  const g = linear(green);
  const b = linear(blue);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

function rgbOf([lightness, a, b]: Lab): Rgb {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encoded(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

const within = (rgb: Rgb): boolean => rgb.every((v) => v >= -0.0005 && v <= 1.0005);

/** A colour of that lightness, hue (radians) and as much of that chroma as a screen can show. */
function colour(lightness: number, chroma: number, hue: number): Rgb {
  const at = (c: number) => rgbOf([lightness, c * Math.cos(hue), c * Math.sin(hue)]);
  let most = at(chroma);
  if (!within(most)) {
    let low = 0;
    let high = chroma;
    for (let i = 0; i < 12; i++) {
      const middle = (low + high) / 2;
      if (within(at(middle))) low = middle;
      else high = middle;
    }
    most = at(low);
  }
  const clamp = (v: number) => Math.min(1, Math.max(0, v));
  return [clamp(most[0]), clamp(most[1]), clamp(most[2])];
}

// ---- What a picture is made of ----

export interface Swatch {
  /** OKLab's lightness, 0 to 1; chroma, 0 to about 0.33; hue, radians. */
  readonly lightness: number;
  readonly chroma: number;
  readonly hue: number;
  /** Its share of the picture, 0 to 1. */
  readonly share: number;
}

/** Colours nearer to one another than this in OKLab are taken as one. */
const alike = 0.09;

/** The colours that make up a picture, at most five; what is large and what is colourful comes first. pixels as in tintOfPixels. */
export function swatchesOf(pixels: ArrayLike<number>): readonly Swatch[] {
  // First boxes of RGB with four bits a channel, which costs little, then boxes that look alike are put together.
  const boxes = new Map<number, { n: number; l: number; a: number; b: number }>();
  let all = 0;
  for (let i = 0; i + 3 < pixels.length; i += 4) {
    if ((pixels[i + 3] ?? 0) < 128) continue;
    const r = pixels[i] ?? 0;
    const g = pixels[i + 1] ?? 0;
    const b = pixels[i + 2] ?? 0;
    const box = ((r >> 4) << 8) | ((g >> 4) << 4) | (b >> 4);
    const lab = labOf([r / 255, g / 255, b / 255]);
    const sum = boxes.get(box) ?? { n: 0, l: 0, a: 0, b: 0 };
    sum.n++;
    sum.l += lab[0];
    sum.a += lab[1];
    sum.b += lab[2];
    boxes.set(box, sum);
    all++;
  }
  const groups: { n: number; l: number; a: number; b: number }[] = [];
  for (const box of [...boxes.values()].sort((p, q) => q.n - p.n)) {
    const near = groups.find((g) => Math.hypot(g.l / g.n - box.l / box.n, g.a / g.n - box.a / box.n, g.b / g.n - box.b / box.n) < alike);
    if (near === undefined) {
      groups.push({ ...box });
      continue;
    }
    near.n += box.n;
    near.l += box.l;
    near.a += box.a;
    near.b += box.b;
  }
  const weight = (s: Swatch) => Math.sqrt(s.share) * (0.03 + s.chroma);
  return groups
    .map((g): Swatch => ({ lightness: g.l / g.n, chroma: Math.hypot(g.a, g.b) / g.n, hue: Math.atan2(g.b, g.a), share: g.n / all }))
    .filter((s) => s.share > 0.01)
    .sort((p, q) => weight(q) - weight(p))
    .slice(0, 5);
}

export const swatchesOfImage = (image: HTMLImageElement): readonly Swatch[] => swatchesOf(pixelsOf(image) ?? []);

// ---- What a view wears ----

export interface Scheme {
  /** Three grounds between which the view shades. */
  readonly grounds: readonly [Rgb, Rgb, Rgb];
  /** Text on any of them: at least 7 to 1. */
  readonly text: Rgb;
  /** Text of less weight: at least 4.5 to 1. */
  readonly muted: Rgb;
  /** What stands out: at least 4.5 to 1 on any ground. */
  readonly accent: Rgb;
  /** Text on the accent: at least 4.5 to 1. */
  readonly onAccent: Rgb;
}

/** Below this chroma a colour has no hue worth speaking of. */
const grey = 0.02;

/**
 * A scheme out of a picture's colours, dark or light. A picture without colours gives a scheme of greys that are as warm
 * as the page's own.
 *
 * The grounds are blended by the browser in sRGB, where a blend is never lighter than the lighter of its ends, and darker
 * than the darker one by very little where both are of nearly the same lightness, as ours are. So it suffices to hold the
 * contrast against each ground, with a twentieth to spare.
 */
export function schemeOf(swatches: readonly Swatch[], dark: boolean): Scheme {
  const colourful = swatches.filter((s) => s.chroma > grey);
  const first = colourful[0] ?? { lightness: 0.5, chroma: 0.008, hue: 0.9, share: 1 };
  const hueApart = (s: Swatch, t: Swatch) => Math.abs(Math.atan2(Math.sin(s.hue - t.hue), Math.cos(s.hue - t.hue)));
  const second = colourful.slice(1).find((s) => hueApart(s, first) > 0.35) ?? colourful[1] ?? first;
  const third = colourful.find((s) => s !== first && s !== second) ?? second;
  const [l1, l2, l3] = dark ? [0.37, 0.31, 0.22] : [0.89, 0.915, 0.95];
  const most = dark ? 0.115 : 0.075;
  const grounds: [Rgb, Rgb, Rgb] = [
    colour(l1, Math.min(most, first.chroma), first.hue),
    colour(l2, Math.min(most, second.chroma), second.hue),
    colour(l3, Math.min(most * 0.6, third.chroma), third.hue),
  ];
  const reaches = (rgb: Rgb, ratio: number) => grounds.every((g) => contrast(rgb, g) >= ratio * 1.05);
  const end = dark ? 1 : 0;
  /** The colour of that hue which is nearest to a lightness and yet far enough from every ground. */
  const legible = (from: number, chroma: number, hue: number, ratio: number): Rgb => {
    const steps = 40;
    for (let i = 0; i <= steps; i++) {
      const c = colour(from + ((end - from) * i) / steps, chroma * (1 - i / steps), hue);
      if (reaches(c, ratio)) return c;
    }
    return [end, end, end];
  };
  // The accent is what is most colourful, so that it differs from the ground by more than its lightness.
  const vivid = [...colourful].sort((p, q) => q.chroma - p.chroma).find((s) => hueApart(s, first) > 0.5) ?? first;
  const accent = legible(dark ? 0.76 : 0.5, Math.max(0.04, Math.min(0.17, vivid.chroma * 1.25)), vivid.hue, 4.5);
  const ink = colour(dark ? 0.18 : 0.99, 0.03, vivid.hue);
  return {
    grounds,
    text: legible(dark ? 0.96 : 0.22, 0.012, first.hue, 7),
    muted: legible(dark ? 0.8 : 0.42, 0.03, first.hue, 4.5),
    accent,
    onAccent: contrast(ink, accent) >= 4.5 ? ink : contrast([0, 0, 0], accent) > contrast([1, 1, 1], accent) ? [0, 0, 0] : [1, 1, 1],
  };
}

/** A colour as a style takes it. */
export const css = ([r, g, b]: Rgb): string => `rgb(${Math.round(r * 255)} ${Math.round(g * 255)} ${Math.round(b * 255)})`;

/** The custom properties of a scheme: the page's own names, so that every part inside the view wears it. */
export function propertiesOf(s: Scheme): Record<`--${string}`, string> {
  const [a, b, c] = s.grounds;
  return {
    "--ground-1": css(a),
    "--ground-2": css(b),
    "--ground-3": css(c),
    "--bg": css(c),
    "--text": css(s.text),
    "--muted": css(s.muted),
    "--accent": css(s.accent),
    "--accent-strong": css(s.accent),
    "--on-accent": css(s.onAccent),
  };
}
