import { createSignal, type JSX } from "solid-js";
import { Icon, type IconName } from "./icons";
import { complain } from "./parts";

/** One line of a menu. */
export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  /** An action … */
  readonly run?: () => unknown;
  /** … or a place of the page to go to. */
  readonly to?: string;
  /** Begins a new group. */
  readonly apart?: boolean;
  /** Instead of an action: five stars to choose from, of which so many are set. */
  readonly rating?: { readonly now: number; readonly set: (stars: number) => void };
}

export interface MenuOptions {
  /** What the menu is of, for those who do not see where it opened. */
  readonly label: string;
  /** A line or two and a picture above the items, as a sheet on a phone shows them. */
  readonly title?: string;
  readonly sub?: string;
  readonly items: readonly MenuItem[];
  /** A point of the window, or the element that opened it. */
  readonly at: { readonly x: number; readonly y: number } | Element;
}

const popup = () => import("./popup");

/** Fetches the menus' code before the first one opens. */
export const warmMenus = (): void => {
  popup().catch(() => undefined); // whoever opens one is told
};

/** Opens a menu; resolves when it is closed. Only one is open at a time. */
export async function openMenu(options: MenuOptions): Promise<void> {
  const { show } = await popup();
  await show(options);
}

/** A button of three dots that opens a menu. */
export function Menu(props: { label: string; items: readonly MenuItem[] | (() => readonly MenuItem[] | Promise<readonly MenuItem[]>); title?: string; sub?: string; class?: string; icon?: IconName; tabindex?: number }): JSX.Element {
  const [open, setOpen] = createSignal(false);
  const toggle = async (at: Element) => {
    const items = typeof props.items === "function" ? await props.items() : props.items;
    setOpen(true);
    try {
      await openMenu({ label: props.label, items, at, ...(props.title === undefined ? {} : { title: props.title }), ...(props.sub === undefined ? {} : { sub: props.sub }) });
    } finally {
      setOpen(false);
    }
  };
  return (
    <button
      type="button"
      class={`icon-button menu-button ${props.class ?? ""}`}
      aria-label={props.label}
      title={props.label}
      aria-haspopup="menu"
      aria-expanded={open()}
      tabindex={props.tabindex}
      onPointerEnter={warmMenus}
      onFocus={warmMenus}
      onClick={(e) => {
        e.stopPropagation();
        toggle(e.currentTarget).catch(complain);
      }}
    >
      <Icon name={props.icon ?? "more"} />
    </button>
  );
}
