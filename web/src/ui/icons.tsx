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
  home: "M4 11.500 12 4l8 7.500M6 10v10h4.500v-6h3v6H18V10",
  tracks: "M9 18V6l11-2v12M9 18a2.750 2.500 0 1 1-5.500 0A2.750 2.500 0 0 1 9 18Zm11-2a2.750 2.500 0 1 1-5.500 0 2.750 2.500 0 0 1 5.500 0Z",
  playlists: "M4 6h12M4 11h12M4 16h6M19 9.500V18M19 18a2.500 2.250 0 1 1-5 0 2.500 2.250 0 0 1 5 0Zm0-8.500 2.500 1",
  genres: "M4 4h7.500l8.500 8.500-7.500 7.500L4 11.500zM8.250 8.250h.010",
  folders: "M4 18.500V6.500A1.500 1.500 0 0 1 5.500 5H10l2 2.500h6.500A1.500 1.500 0 0 1 20 9v9.500A1.500 1.500 0 0 1 18.500 20h-13A1.500 1.500 0 0 1 4 18.500Z",
  radio: "M12 13.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3ZM12 13.500V20M8.200 15.800a5.400 5.400 0 0 1 0-7.600M15.800 8.200a5.400 5.400 0 0 1 0 7.600M5.300 18.700a9.500 9.500 0 0 1 0-13.400M18.700 5.300a9.500 9.500 0 0 1 0 13.400",
  more: "M5.500 12h.010M12 12h.010M18.500 12h.010",
  menu: "M4 7h16M4 12h16M4 17h16",
  down: "m6 9.500 6 6 6-6",
  up: "m6 14.500 6-6 6 6",
  forward: "m9.500 6 6 6-6 6",
  back: "m14.500 6-6 6 6 6",
  edit: "M4 20v-4L15.500 4.500l4 4L8 20zM13 7l4 4",
  trash: "M4.500 7h15M9.500 7V4.500h5V7M6.500 7l1 13h9l1-13M10.500 11v5.500M13.500 11v5.500",
  share: "M12 15V4m-4 4 4-4 4 4M6 12H5v8h14v-8h-1",
  download: "M12 4v11m-4-4 4 4 4-4M5 20h14",
  upload: "M12 15V4m-4 4 4-4 4 4M5 20h14",
  lyrics: "M4 5h16v11H12l-4.500 4v-4H4zM8 9h8M8 12.500h5",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5.500M12 7.750h.010",
  drag: "M9 6h.010M15 6h.010M9 12h.010M15 12h.010M9 18h.010M15 18h.010",
  link: "M10 14a4 4 0 0 0 6 .400l3-3a4.100 4.100 0 0 0-5.800-5.800l-1.200 1.200M14 10a4 4 0 0 0-6-.400l-3 3a4.100 4.100 0 0 0 5.800 5.800l1.200-1.200",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  playnext: "M4 6h16M4 18h9M4 12h5M13 9.500v5l4-2.500z",
  filter: "M4 5h16l-6.500 7.500V19l-3-1.500v-5z",
  sort: "M8 5v14m-3.500-3.500L8 19l3.500-3.500M13 7h7M13 12h5M13 17h3",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100",
  speed: "M4.500 18a9 9 0 1 1 15 0M12 14l4-5",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.500 8.500c.6-4 3.700-6 7.500-6s6.900 2 7.500 6",
  users: "M9 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM2.500 19.500c.5-3.500 3-5.250 6.500-5.250s6 1.750 6.500 5.250M15.500 4.750a3.500 3.500 0 0 1 0 6.500M18 14.750c2 .750 3.200 2.300 3.500 4.750",
  key: "M8 19a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM11 12.500 19.500 4M15.500 8l3 3M18 5.500l2.500 2.500",
  device: "M7.500 3h9A1.500 1.500 0 0 1 18 4.500v15a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 6 19.500v-15A1.500 1.500 0 0 1 7.500 3ZM11 18h2",
  offline: "M12 4v9m-4-4 4 4 4-4M5 13.500V19h14v-5.500",
  kept: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8 12.250l3 3 5-6",
  check: "m5 12.500 4.500 4.500L19 7.500",
  warning: "M12 4 2.500 20h19zM12 10v4.500M12 17.250h.010",
  refresh: "M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9M19.500 4.500V9H15",
  undo: "M4.500 9h9a5.500 5.500 0 0 1 0 11H8M8.500 5l-4 4 4 4",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3.500 9.500h17M3.500 14.500h17M12 3c-5 5-5 13 0 18 5-5 5-13 0-18Z",
  signout: "M14 4H5v16h9M10 12h10m-3.500-3.500L20 12l-3.500 3.500",
  external: "M14 4h6v6M20 4l-9 9M10 6H5v13h13v-5",
  keyboard: "M3 6.500h18v11H3zM6.500 10h.010M10 10h.010M13.500 10h.010M17 10h.010M8 14h8",
  sound: "M5 10v4M9 6v12M13 8.500v7M17 4.500v15M21 10v4",
  look: "M12 21a9 9 0 1 1 9-9c0 2.500-2 3.500-4 3.500h-2a2 2 0 0 0-1.250 3.500c.5.750.250 2-1.750 2ZM7.500 12h.010M9.500 8h.010M14.500 8h.010",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2",
} as const;

export type IconName = keyof typeof paths | keyof typeof lines;

/** What points along the line of text, and so points the other way where it runs from right to left. */
const directional: ReadonlySet<string> = new Set(["forward", "back", "undo", "signout", "external", "playnext", "queue", "playlists", "lyrics", "sort"]);

export function Icon(props: { name: IconName; filled?: boolean }): JSX.Element {
  const solid = () => props.name in paths;
  return (
    <svg class="icon" classList={{ line: !solid(), filled: props.filled ?? false, directional: directional.has(props.name) }} viewBox="0 0 24 24" aria-hidden="true">
      <path d={props.name in paths ? paths[props.name as keyof typeof paths] : lines[props.name as keyof typeof lines]} />
    </svg>
  );
}
