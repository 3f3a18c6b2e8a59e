import { type Component, createEffect, createSignal, ErrorBoundary, type JSX, on, onCleanup, Show } from "solid-js";
import { base, OfflineError } from "../api/client";
import { t } from "../words";
import { Failed, Message, Waiting } from "./parts";

/**
 * Code that is fetched when it is first needed. Solid's lazy keeps a failure for good; this asks again, so that a view
 * whose code could not be had while the connection was gone is there once it is back.
 */
export interface Chunk<P extends object> {
  /** The component, once its code is here. */
  readonly ready: () => Component<P> | undefined;
  /** Fetches the code unless it is here. */
  readonly load: () => Promise<Component<P>>;
}

export function chunk<P extends object>(fetchIt: () => Promise<Component<P>>): Chunk<P> {
  const [ready, setReady] = createSignal<Component<P>>();
  let asked: Promise<Component<P>> | undefined;
  return {
    ready,
    load: () =>
      (asked ??= fetchIt().then(
        (component) => {
          setReady(() => component);
          return component;
        },
        (cause: unknown) => {
          asked = undefined;
          throw cause;
        },
      )),
  };
}

/** What is part of the page from the beginning. */
export const present = <P extends object>(component: Component<P>): Chunk<P> => ({ ready: () => component, load: () => Promise.resolve(component) });

/** The server now has another build of the page, and no longer the files of this one. */
class RenewedError extends Error {}

/** Why a file of the page cannot be had: browsers say the same of a file that is gone and of a server that is. */
async function reason(cause: unknown): Promise<Error> {
  const mine = document.querySelector<HTMLScriptElement>("script[type=module][src]")?.getAttribute("src");
  try {
    const response = await fetch(`${base}/`, { cache: "no-store" });
    if (!response.ok) return new OfflineError();
    if (mine !== null && mine !== undefined && !(await response.text()).includes(mine)) return new RenewedError();
  } catch {
    return new OfflineError();
  }
  return cause instanceof Error ? cause : new Error(String(cause));
}

/** Shows a chunk's component, or that it is on its way, or why it cannot be had and what to do. */
export function Chunked<P extends object>(props: { chunk: Chunk<P>; props: P }): JSX.Element {
  const [error, setError] = createSignal<Error>();
  const [attempt, setAttempt] = createSignal(0);
  const again = () => setAttempt((n) => n + 1);
  createEffect(
    on([() => props.chunk, attempt], ([wanted]) => {
      setError(undefined);
      if (wanted.ready() !== undefined) return;
      wanted.load().catch(async (cause: unknown) => {
        const why = await reason(cause);
        if (props.chunk === wanted) setError(why);
      });
    }),
  );
  addEventListener("online", again);
  onCleanup(() => removeEventListener("online", again));
  return (
    <Show when={props.chunk.ready()} keyed fallback={<Show when={error()} fallback={<Waiting />}>{(e) => <Broken error={e()} retry={again} />}</Show>}>
      {(Loaded) => (
        <ErrorBoundary fallback={(cause: unknown, reset) => <Broken error={cause instanceof Error ? cause : new Error(String(cause))} retry={reset} />}>
          <Loaded {...props.props} />
        </ErrorBoundary>
      )}
    </Show>
  );
}

/** A part of the page that cannot be shown. Where there is a new build, only loading the page anew helps. */
function Broken(props: { error: Error; retry: () => void }): JSX.Element {
  return (
    <Show when={props.error instanceof RenewedError} fallback={<Failed whole error={props.error} retry={props.retry} />}>
      <div role="alert">
        <Message
          whole
          icon="refresh"
          title={t("house.renewed")}
          action={
            <button type="button" class="button primary" onClick={() => location.reload()}>
              {t("house.reload")}
            </button>
          }
        >
          <p>{t("house.renewedHint")}</p>
        </Message>
      </div>
    </Show>
  );
}
