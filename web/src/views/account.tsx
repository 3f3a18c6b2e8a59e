import { createSignal, For, type JSX, onMount, Show } from "solid-js";
import { ApiError, base, get, send } from "../api/client";
import { session } from "../api/state";
import type { AppKey, AppKeyItems, MadeAppKey, SessionEntry, SessionEntryItems } from "../api/wire";
import { agentName } from "../ui/agent";
import { day } from "../ui/format";
import { complain, say } from "../ui/parts";
import { t } from "../words";

/** Characters of a password; the server has the last word. */
export const shortest = 8;

/** What went wrong, and when to try again where the server says so. */
export const explain = (cause: unknown): string => {
  const what = cause instanceof Error ? cause.message : String(cause);
  return cause instanceof ApiError && cause.retryAfterSeconds > 0 ? `${what} ${t("house.tryAgainIn", { count: cause.retryAfterSeconds })}` : what;
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
      say(t("house.passwordChanged"));
    } catch (cause) {
      setProblem(explain(cause));
      if (cause instanceof ApiError && cause.status === 403) current.select();
    } finally {
      setBusy(false);
    }
  };

  return (
    <section class="panel">
      <h2>{t("house.password")}</h2>
      <form class="fields" onSubmit={(e) => void change(e)}>
        <input hidden name="username" autocomplete="username" value={session()?.user.name ?? ""} readonly />
        <label>
          {t("house.currentPassword")}
          <input ref={current} type="password" autocomplete="current-password" required aria-describedby="password-problem" />
        </label>
        <label>
          {t("house.newPassword")}
          <input ref={next} type="password" autocomplete="new-password" required minlength={shortest} aria-describedby="password-hint" />
        </label>
        <p id="password-hint" class="hint">
          {t("house.passwordHint", { count: shortest })}
        </p>
        <p id="password-problem" class="problem" role="alert">
          {problem()}
        </p>
        <button type="submit" class="button" disabled={busy()}>
          {t(busy() ? "house.changing" : "house.changePassword")}
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

  const list = () => get<AppKeyItems>("keys").then((r) => setKeys(r.items), (cause: unknown) => setProblem(explain(cause)));
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
      setProblem(explain(cause));
    } finally {
      setBusy(false);
    }
  };

  const revoke = (key: AppKey) => {
    send("DELETE", `keys/${encodeURIComponent(key.id)}`).then(() => {
      if (made()?.id === key.id) setMade(undefined);
      say(t("house.revoked", { name: key.name }));
      name.focus();
      return list();
    }, complain);
  };

  return (
    <section class="panel">
      <h2>{t("house.appKeys")}</h2>
      <p class="muted">
        {t("house.appKeysHint")} <strong class="address" dir="ltr">{location.origin + base}</strong>
      </p>
      <Show when={made()}>{(k) => <MadeKey made={k()} onDone={() => { setMade(undefined); name.focus(); }} />}</Show>
      <Show when={keys()?.length}>
        <ul class="keys" aria-label={t("house.appKeys")}>
          <For each={keys()}>
            {(k) => (
              <li>
                <div>
                  <strong dir="auto">{k.name}</strong>
                  <p class="hint">
                    {t("house.made", { day: day(k.created) })} · {k.lastUsed === undefined ? t("house.neverUsed") : t("house.lastUsed", { day: day(k.lastUsed) })}
                  </p>
                </div>
                <Show
                  when={asked() === k.id}
                  fallback={
                    <button type="button" class="button small" aria-label={t("house.revokeName", { name: k.name })} onClick={() => setAsked(k.id)}>
                      {t("house.revoke")}
                    </button>
                  }
                >
                  <button ref={focusSoon} type="button" class="button small danger" aria-label={t("house.revokeForGood", { name: k.name })} onClick={() => revoke(k)} onBlur={() => setAsked("")}>
                    {t("house.reallyRevoke")}
                  </button>
                </Show>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <form class="fields" onSubmit={(e) => void make(e)}>
        <label>
          {t("house.newKeyName")}
          <input ref={name} autocomplete="off" required maxlength="100" placeholder={t("house.newKeyHint")} aria-describedby="key-problem" />
        </label>
        <p id="key-problem" class="problem" role="alert">
          {problem()}
        </p>
        <button type="submit" class="button" disabled={busy()}>
          {t("house.makeKey")}
        </button>
      </form>
    </section>
  );
}

/** An element that has just come takes the focus, once it is in the document. */
export function focusSoon(element: HTMLElement): void {
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
      say(t("house.selectedToCopy"));
      return;
    }
    navigator.clipboard.writeText(props.made.secret).then(() => say(t("house.copied")), complain);
  };
  return (
    <div class="made" role="group" aria-label={t("house.keyFor", { name: props.made.name })}>
      <label>
        {t("house.keyForQuoted", { name: props.made.name })}
        <input ref={field} class="secret" readonly value={props.made.secret} spellcheck={false} onFocus={(e) => e.currentTarget.select()} />
      </label>
      <p class="hint">{t("house.keyOnce")}</p>
      <div class="actions">
        <button type="button" class="button primary small" onClick={copy}>
          {t("house.copy")}
        </button>
        <button type="button" class="button small" onClick={() => props.onDone()}>
          {t("house.done")}
        </button>
      </div>
    </div>
  );
}

/** The browsers that are signed in to the account, this one among them. */
export function Sessions(): JSX.Element {
  const [list, setList] = createSignal<readonly SessionEntry[]>();
  const [problem, setProblem] = createSignal("");
  let heading!: HTMLHeadingElement;
  const read = () => get<SessionEntryItems>("sessions").then((r) => setList(r.items), (cause: unknown) => setProblem(explain(cause)));
  onMount(() => void read());

  const others = () => list()?.filter((s) => !s.current) ?? [];
  const end = (sessions: readonly SessionEntry[]) => {
    Promise.all(sessions.map((s) => send("DELETE", `sessions/${encodeURIComponent(s.id)}`)))
      .then(() => say(t("house.signedOutBrowsers", { count: sessions.length })), complain)
      .then(() => {
        heading.focus(); // the button that was pressed is gone
        return read();
      }, complain);
  };

  return (
    <section class="panel">
      <h2 ref={heading} tabindex="-1">
        {t("house.sessions")}
      </h2>
      <Show when={list()} fallback={<p class={problem() === "" ? "muted" : "problem"}>{problem() || t("house.loading")}</p>}>
        <ul class="keys" aria-label={t("house.sessions")}>
          <For each={list()}>
            {(s) => (
              <li>
                <div>
                  <strong>{agentName(s.userAgent ?? "") || s.userAgent || t("house.unknownBrowser")}</strong>
                  <p class="hint">
                    {s.current ? t("house.thisBrowser") : s.lastSeen === undefined ? t("house.made", { day: day(s.created) }) : t("house.lastSeen", { day: day(s.lastSeen) })}
                    <Show when={s.from}>
                      {" · "}
                      <bdi>{s.from}</bdi>
                    </Show>
                  </p>
                </div>
                <Show when={!s.current}>
                  <button
                    type="button"
                    class="button small"
                    aria-label={t("house.signOutName", { name: agentName(s.userAgent ?? "") || t("house.unknownBrowser") })}
                    onClick={() => end([s])}
                  >
                    {t("house.signOut")}
                  </button>
                </Show>
              </li>
            )}
          </For>
        </ul>
        <Show when={others().length > 1}>
          <div class="actions">
            <button type="button" class="button" onClick={() => end(others())}>
              {t("house.signOutOthers")}
            </button>
          </div>
        </Show>
      </Show>
    </section>
  );
}
