import type { JSX } from "solid-js";

/** Line icons on a 24 × 24 grid, drawn for this page. They say nothing by themselves: what bears one has a name. */
const paths = {
  play: "M8 5.2v13.6a.8.8 0 0 0 1.2.7l10.9-6.8a.8.8 0 0 0 0-1.4L9.2 4.5A.8.8 0 0 0 8 5.2Z",
  pause: "M7 5h3.5v14H7zM13.500 5H17v14h-3.500z",
  next: "M6 5.6v12.800a.7.7 0 0 0 1.100.600L16 13v5.500h2v-13h-2V11L7.100 5a.7.7 0 0 0-1.100.600Z",
  previous: "M18 5.600v12.800a.7.7 0 0 1-1.100.600L8 13v5.500H6v-13h2V11l8.900-6a.7.7 0 0 1 1.100.600Z",
} as const;

const lines = {
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.500 4.500",
  albums: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  artists: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.500 8.500c.6-4 3.700-6 7.500-6s6.900 2 7.500 6",
  queue: "M4 6h16M4 12h10M4 18h7M17 12v7m-3-3.500 6 0",
  star: "m12 3.600 2.600 5.300 5.800.850-4.200 4.100 1 5.800L12 16.900l-5.200 2.750 1-5.800-4.200-4.100 5.800-.850z",
  volume: "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11",
  muted: "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM16 9.500l5 5m0-5-5 5",
  shuffle: "M4 7h3c5 0 5 10 10 10h3m-2.500-2.500L20 17l-2.500 2.500M4 17h3c1.600 0 2.700-1 3.500-2.300M13.500 9.300C14.300 8 15.400 7 17 7h3m-2.500-2.500L20 7l-2.500 2.500",
  repeat: "M17 4l3 3-3 3M20 7H8a4 4 0 0 0-4 4v1M7 20l-3-3 3-3M4 17h12a4 4 0 0 0 4-4v-1",
  add: "M12 5v14M5 12h14",
  remove: "M6 6l12 12M18 6 6 18",
  settings: "M4 7h9M17 7h3M15 4.500v5M4 17h3M11 17h9M9 14.500v5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2",
} as const;

export type IconName = keyof typeof paths | keyof typeof lines;

export function Icon(props: { name: IconName; filled?: boolean }): JSX.Element {
  const solid = () => props.name in paths;
  return (
    <svg class="icon" classList={{ line: !solid(), filled: props.filled ?? false }} viewBox="0 0 24 24" aria-hidden="true">
      <path d={props.name in paths ? paths[props.name as keyof typeof paths] : lines[props.name as keyof typeof lines]} />
    </svg>
  );
}
