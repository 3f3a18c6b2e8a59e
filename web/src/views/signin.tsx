import { createSignal, type JSX, onMount } from "solid-js";
import { ApiError, send } from "../api/client";
import { expired, setSession } from "../api/state";
import type { SessionReply } from "../api/wire";
import { tellWho } from "../offline/worker";
import { t } from "../words";

export function SignIn(): JSX.Element {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal("");
  let name!: HTMLInputElement;
  let password!: HTMLInputElement;
  onMount(() => name.focus());

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      const reply = await send<SessionReply>("POST", "session", { name: name.value, password: password.value });
      // Before anything is asked in their name, or it would be kept in nobody's. The page tells it once more, and complains.
      await tellWho(reply.user.id).catch(() => undefined);
      setSession(reply);
    } catch (cause) {
      if (cause instanceof ApiError && cause.status === 401) {
        setProblem(t("house.wrongPassword"));
        password.select();
      } else {
        const wait = cause instanceof ApiError && cause.retryAfterSeconds > 0 ? ` ${t("house.tryAgainIn", { count: cause.retryAfterSeconds })}` : "";
        setProblem((cause instanceof Error ? cause.message : String(cause)) + wait);
      }
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="signin">
      <div class="signin-glow" aria-hidden="true" />
      <form class="signin-card" onSubmit={(e) => void submit(e)} aria-labelledby="signin-title">
        <Logo />
        <h1 id="signin-title">{t("house.welcome")}</h1>
        <p class="muted">{t(expired() ? "house.signedOut" : "house.signInHint")}</p>
        <label>
          {t("house.name")}
          <input ref={name} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          {t("house.password")}
          <input ref={password} name="password" type="password" autocomplete="current-password" required aria-describedby="signin-problem" />
        </label>
        <p id="signin-problem" class="problem" role="alert">
          {problem()}
        </p>
        <button type="submit" class="button primary wide" disabled={busy()}>
          {t(busy() ? "house.signingIn" : "house.signIn")}
        </button>
        <p class="hint">{t("house.firstTime")}</p>
      </form>
    </main>
  );
}

/** Our sign: four bars of different height, like players that sound together. */
export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
      <rect class="logo-back" width="64" height="64" rx="16" />
      <g class="logo-bars">
        <rect x="12" y="26" width="7" height="20" rx="3.5" />
        <rect x="23" y="16" width="7" height="32" rx="3.5" />
        <rect x="34" y="22" width="7" height="26" rx="3.5" />
        <rect x="45" y="30" width="7" height="14" rx="3.5" />
      </g>
    </svg>
  );
}

