/** How long a shared page can live. */
export const lives = ["never", "day", "week", "month", "date"] as const;
export type Life = (typeof lives)[number];

export const dayMs = 86_400_000;
const daysOf = { day: 1, week: 7, month: 30 } as const;

/** When a page with that life ends; undefined for never. date is of the form 2026-11-23, and the page lives to its end. */
export function endOf(life: Life, date: string, now: number): string | undefined {
  if (life === "never") return undefined;
  if (life !== "date") return new Date(now + daysOf[life] * dayMs).toISOString();
  const [year = 0, month = 1, day = 1] = date.split("-").map(Number);
  return new Date(year, month - 1, day, 23, 59, 59).toISOString();
}

/** A day as a date field takes it, in the reader's own time. */
export function fieldDate(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}
