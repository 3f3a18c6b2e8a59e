import { createSignal, For, type JSX, onMount, Show } from "solid-js";
import { ApiError, base, get, send } from "../api/client";
import { session } from "../api/state";
import type { AppKey, AppKeyItems, MadeAppKey } from "../api/wire";
import { day } from "../ui/format";
import { complain, say } from "../ui/parts";

const shortest = 8; // characters of a password; the server has the last word

const words = (cause: unknown): string => {
  const wait = cause instanceof ApiError && cause.retryAfterSeconds > 0 ? ` Try again in ${cause.retryAfterSeconds} s.` : "";
  return (cause instanceof Error ? cause.message : String(cause)) + wait;
};

export function Password(): JSX.Element {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal("");
  let current!: HTMLInputElement;
  let next!: HTMLInputElement;

  const change = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    setProblem("");
    try {
      await send("PUT", "password", { current: current.value, password: next.value });
      form.reset();
      say("Your password is changed");
    } catch (cause) {
      setProblem(words(cause));
      if (cause instanceof ApiError && cause.status === 403) current.select();
    } finally {
      setBusy(false);
    }
  };

  return (
    <section class="panel">
      <h2>Password</h2>
      <form class="fields" onSubmit={(e) => void change(e)}>
        <input hidden name="username" autocomplete="username" value={session()?.user.name ?? ""} readonly />
        <label>
          Current password
          <input ref={current} type="password" autocomplete="current-password" required aria-describedby="password-problem" />
        </label>
        <label>
          New password
          <input ref={next} type="password" autocomplete="new-password" required minlength={shortest} aria-describedby="password-hint" />
        </label>
        <p id="password-hint" class="hint">
          At least {shortest} characters. Other browsers are signed out, and apps need the new one; app keys stay.
        </p>
        <p id="password-problem" class="problem" role="alert">
          {problem()}
        </p>
        <button type="submit" class="button" disabled={busy()}>
          {busy() ? "Changing…" : "Change password"}
        </button>
      </form>
    </section>
  );
}

export function AppKeys(): JSX.Element {
  const [keys, setKeys] = createSignal<readonly AppKey[]>();
  const [made, setMade] = createSignal<MadeAppKey>();
  const [asked, setAsked] = createSignal("");
  const [problem, setProblem] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  let name!: HTMLInputElement;

  const list = () => get<AppKeyItems>("keys").then((r) => setKeys(r.items), (cause: unknown) => setProblem(words(cause)));
  onMount(() => void list());

  const make = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      setMade(await send<MadeAppKey>("POST", "keys", { name: name.value }));
      name.value = "";
      await list();
    } catch (cause) {
      setProblem(words(cause));
    } finally {
      setBusy(false);
    }
  };

  const revoke = (key: AppKey) => {
    send("DELETE", `keys/${encodeURIComponent(key.id)}`).then(() => {
      if (made()?.id === key.id) setMade(undefined);
      say(`Revoked “${key.name}”`);
      name.focus();
      return list();
    }, complain);
  };

  return (
    <section class="panel">
      <h2>App keys</h2>
      <p class="muted">
        Apps that ask for an API key take one instead of your password. Other Subsonic apps take your name and password. The address for all of them
        is <strong class="address">{location.origin + base}</strong>
      </p>
      <Show when={made()}>{(k) => <MadeKey made={k()} onDone={() => { setMade(undefined); name.focus(); }} />}</Show>
      <Show when={keys()?.length}>
        <ul class="keys" aria-label="App keys">
          <For each={keys()}>
            {(k) => (
              <li>
                <div>
                  <strong>{k.name}</strong>
                  <p class="hint">
                    Made {day(k.created)} · {k.lastUsed === undefined ? "never used" : `last used ${day(k.lastUsed)}`}
                  </p>
                </div>
                <Show
                  when={asked() === k.id}
                  fallback={
                    <button type="button" class="button small" aria-label={`Revoke ${k.name}`} onClick={() => setAsked(k.id)}>
                      Revoke
                    </button>
                  }
                >
                  <button ref={focusSoon} type="button" class="button small danger" aria-label={`Revoke ${k.name} for good`} onClick={() => revoke(k)} onBlur={() => setAsked("")}>
                    Really revoke
                  </button>
                </Show>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <form class="fields" onSubmit={(e) => void make(e)}>
        <label>
          Name of a new key
          <input ref={name} autocomplete="off" required maxlength="100" placeholder="The app and its device" aria-describedby="key-problem" />
        </label>
        <p id="key-problem" class="problem" role="alert">
          {problem()}
        </p>
        <button type="submit" class="button" disabled={busy()}>
          Make a key
        </button>
      </form>
    </section>
  );
}

/** An element that has just come takes the focus, once it is in the document. */
function focusSoon(element: HTMLElement): void {
  queueMicrotask(() => element.focus());
}

/** A key's secret, which the server never tells again. */
function MadeKey(props: { made: MadeAppKey; onDone: () => void }): JSX.Element {
  let field!: HTMLInputElement;
  onMount(() => {
    field.focus();
    field.scrollIntoView({ block: "center" });
  });
  const copy = () => {
    // Without https, and elsewhere than on this machine, browsers have no clipboard for pages: then it is selected to copy by hand.
    field.select();
    if (!isSecureContext) {
      say("Selected: copy it with the keyboard or the menu");
      return;
    }
    navigator.clipboard.writeText(props.made.secret).then(() => say("Copied"), complain);
  };
  return (
    <div class="made" role="group" aria-label={`Key for ${props.made.name}`}>
      <label>
        The key for “{props.made.name}”
        <input ref={field} class="secret" readonly value={props.made.secret} spellcheck={false} onFocus={(e) => e.currentTarget.select()} />
      </label>
      <p class="hint">Copy it into the app now: it is shown this once.</p>
      <div class="actions">
        <button type="button" class="button primary small" onClick={copy}>
          Copy
        </button>
        <button type="button" class="button small" onClick={() => props.onDone()}>
          Done
        </button>
      </div>
    </div>
  );
}
