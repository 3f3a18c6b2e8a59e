/** The arithmetic of drawing a track's outline. Heights are from 0 to 1. */

/** Least height of a bar, so that silence is a line and not a gap. */
const least = 0.035;

/**
 * The heights of so many bars. Where a bar stands for several points it is as high as the highest. The loudest is drawn
 * full height, so that a quiet track can be read as well as a loud one.
 */
export function barsOf(points: readonly number[], count: number): number[] {
  const highest = points.reduce((most, p) => Math.max(most, p), 0);
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * points.length) / count);
    const to = Math.max(from + 1, Math.floor(((i + 1) * points.length) / count));
    let most = 0;
    for (let p = from; p < to; p++) most = Math.max(most, points[p] ?? 0);
    return highest === 0 ? least : Math.max(least, most / highest);
  });
}

/** The path of bars as strokes, mirrored about the middle of a box of that height, one every step pixels. */
export function pathOf(bars: readonly number[], step: number, height: number, stroke: number): string {
  const most = (height - stroke) / 2;
  const one = (v: number) => v.toFixed(1);
  return bars.map((bar, i) => `M${one((i + 0.5) * step)} ${one(height / 2 - bar * most)}V${one(height / 2 + bar * most)}`).join("");
}
