/** A list with one row taken from its place to another. */
export const moved = <T>(rows: readonly T[], from: number, to: number): T[] => {
  const row = rows[from];
  return row === undefined ? [...rows] : rows.toSpliced(from, 1).toSpliced(to, 0, row);
};

/** By how many places a row gives way while another is on its way from one place to another. */
export const shiftOf = (index: number, from: number, to: number): number => (index > from && index <= to ? -1 : index < from && index >= to ? 1 : 0);

/** The place of a row whose top is at y. */
export const slotAt = (y: number, rowHeight: number, count: number): number => Math.min(count - 1, Math.max(0, Math.round(y / rowHeight)));
