import { createEffect, createSignal, For, type JSX, Match, Show, Switch } from "solid-js";
import { ApiError, coverUrl, OfflineError } from "../api/client";
import { isStarred, toggleStar } from "../api/state";
import { href } from "../router";
import { t } from "../words";
import { Icon, type IconName } from "./icons";
import "./toast.css";

/** A round button that is only an icon; its name is for those who do not see it, and a tooltip for those who do. */
export function IconButton(props: {
  icon: IconName;
  label: string;
  onClick: (event: MouseEvent) => void;
  pressed?: boolean;
  filled?: boolean;
  class?: string;
  disabled?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ""}`}
      aria-label={props.label}
      title={props.label}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={(e) => props.onClick(e)}
    >
      <Icon name={props.icon} filled={props.filled ?? false} />
    </button>
  );
}

/** A hue of its own for every name, so that things without a picture can still be told apart. */
export function hue(name: string): number {
  // FNV-1a (Fowler, Noll and Vo) in 32 bits, which spreads names that differ by a letter.
  let h = 0x811c9dc5;
  for (const c of name) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return (h ^ (h >>> 16)) % 360;
}

/** The first letter or digit of a name: one in brackets is not known by its bracket. */
const initial = (name: string): string => (/[\p{L}\p{N}]/u.exec(name)?.[0] ?? "♪").toUpperCase();

/** A square picture, or where there is none a coloured tile with the name's first letter. Decorative: its name stands beside it. */
export function Cover(props: { id: string; has: boolean; name: string; size: number; eager?: boolean; round?: boolean; onColor?: (image: HTMLImageElement) => void }): JSX.Element {
  const [failed, setFailed] = createSignal(false);
  const [loaded, setLoaded] = createSignal(false);
  createEffect(() => {
    if (props.id) setFailed(false);
  });
  return (
    <div class="cover" classList={{ round: props.round ?? false }} style={{ "--hue": String(hue(props.name)) }}>
      <Show
        when={props.has && !failed()}
        fallback={
          <span class="initial" aria-hidden="true">
            {initial(props.name)}
          </span>
        }
      >
        <img
          classList={{ loaded: loaded() }}
          src={coverUrl(props.id, props.size)}
          srcset={`${coverUrl(props.id, props.size)} 1x, ${coverUrl(props.id, props.size * 2)} 2x`}
          width={props.size}
          height={props.size}
          alt=""
          loading={props.eager ? "eager" : "lazy"}
          decoding="async"
          onLoad={(e) => {
            setLoaded(true);
            props.onColor?.(e.currentTarget);
          }}
          onError={() => setFailed(true)}
        />
      </Show>
    </div>
  );
}

export function StarButton(props: { thing: { id: string; starred?: string }; name: string; class?: string }): JSX.Element {
  const on = () => isStarred(props.thing);
  return (
    <IconButton
      class={`star ${props.class ?? ""}`}
      icon="star"
      filled={on()}
      pressed={on()}
      label={t("house.star", { name: props.name })}
      onClick={() => {
        toggleStar(props.thing).catch(complain);
      }}
    />
  );
}

// ---- Messages that come and go ----

/** What can be done about what a message says, such as taking it back. */
export interface ToastAction {
  name: string;
  run: () => void;
}

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  action?: ToastAction;
}

const [toasts, setToasts] = createSignal<readonly Toast[]>([]);
let lastToast = 0;

export function say(text: string, bad = false, action?: ToastAction): void {
  const id = ++lastToast;
  setToasts((list) => [...list.slice(-2), { id, text, bad, ...(action ? { action } : {}) }]);
  // What can be pressed stays long enough to get there by keyboard.
  setTimeout(() => unsay(id), action ? 12_000 : bad ? 7_000 : 3_000);
}

const unsay = (id: number) => setToasts((list) => list.filter((other) => other.id !== id));

/** Tells what failed, for actions whose view stays as it is. */
export function complain(cause: unknown): void {
  say(cause instanceof Error ? cause.message : String(cause), true);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      <For each={toasts()}>
        {(toast) => (
          <p classList={{ toast: true, bad: toast.bad, acts: toast.action !== undefined }} dir="auto">
            {toast.text}
            <Show when={toast.action}>
              {(a) => (
                <button
                  type="button"
                  onClick={() => {
                    unsay(toast.id);
                    a().run();
                  }}
                >
                  {a().name}
                </button>
              )}
            </Show>
          </p>
        )}
      </For>
    </div>
  );
}

// ---- What a view shows instead of its content ----

/** whole: it stands instead of a view and so has the view's heading. */
export function Message(props: { title: string; children?: JSX.Element; icon?: IconName; action?: JSX.Element; whole?: boolean }): JSX.Element {
  return (
    <section class="message">
      <Show when={props.icon}>{(name) => <span class="message-icon"><Icon name={name()} /></span>}</Show>
      <Show when={props.whole} fallback={<h2>{props.title}</h2>}>
        <h1>{props.title}</h1>
      </Show>
      <Show when={props.children}>
        <div class="message-text">{props.children}</div>
      </Show>
      {props.action}
    </section>
  );
}

export function Failed(props: { error: Error; retry: () => void; whole?: boolean }): JSX.Element {
  const gone = () => props.error instanceof ApiError && props.error.kind === "not-found";
  return (
    <div role="alert">
      <Message
        whole={props.whole ?? false}
        title={t(props.error instanceof OfflineError ? "house.noConnection" : gone() ? "house.notHere" : "house.didNotWork")}
        action={
          <Show
            when={gone()}
            fallback={
              <button type="button" class="button" onClick={() => props.retry()}>
                {t("house.tryAgain")}
              </button>
            }
          >
            <a class="button" href={href("/")}>
              {t("house.toHome")}
            </a>
          </Show>
        }
      >
        <p>{props.error.message}</p>
      </Message>
    </div>
  );
}

/** One of three: what was loaded, why it could not be, or a picture of what is to come. */
export function Await<T>(props: { value: T | undefined; error: Error | undefined; retry: () => void; waiting?: JSX.Element; children: (value: () => NonNullable<T>) => JSX.Element }): JSX.Element {
  return (
    <Switch fallback={<div aria-busy="true">{props.waiting ?? <Waiting />}</div>}>
      <Match when={props.value}>{(v) => props.children(v)}</Match>
      <Match when={props.error}>{(e) => <Failed error={e()} retry={props.retry} />}</Match>
    </Switch>
  );
}

export function Waiting(): JSX.Element {
  return (
    <div class="waiting" role="status">
      <span class="visually-hidden">{t("house.loading")}</span>
      <For each={[0, 1, 2, 3, 4, 5]}>{() => <div class="skeleton row" />}</For>
    </div>
  );
}

export function Slider(props: {
  label: string;
  value: number;
  max: number;
  step: number;
  text: string;
  class?: string;
  onInput: (value: number) => void;
  onCommit?: (value: number) => void;
}): JSX.Element {
  return (
    <input
      class={`slider ${props.class ?? ""}`}
      type="range"
      min="0"
      max={props.max}
      step={props.step}
      value={props.value}
      aria-label={props.label}
      aria-valuetext={props.text}
      style={{ "--part": `${props.max > 0 ? Math.min(100, (props.value / props.max) * 100) : 0}%` }}
      onInput={(e) => props.onInput(e.currentTarget.valueAsNumber)}
      onChange={(e) => props.onCommit?.(e.currentTarget.valueAsNumber)}
    />
  );
}
