import { createEffect, createMemo, createSignal, For, type JSX, Match, on, onCleanup, onMount, Show, Suspense, Switch } from "solid-js";
import { get, OfflineError, send, whenSignedOut } from "./api/client";
import { followScan, forgetSession, lost, session, setSession, toggleStar } from "./api/state";
import type { SessionReply } from "./api/wire";
import { PlayerProvider } from "./player/context";
import { connectMediaSession, createPlayer } from "./player/player";
import { go, href, interceptLinks, place, replace } from "./router";
import { routes } from "./routes";
import { Icon, type IconName } from "./ui/icons";
import { complain, Failed, Message, Toasts, Waiting } from "./ui/parts";
import { viewTitle } from "./ui/title";
import { PlayerBar } from "./views/bar";
import { ScanProgress } from "./views/scan";
import { Logo, SignIn } from "./views/signin";
import { t } from "./words";

export function App(): JSX.Element {
  const [problem, setProblem] = createSignal<Error>();
  whenSignedOut(() => forgetSession(true));

  const begin = () => {
    setProblem(undefined);
    get<SessionReply>("session").then(setSession, (cause: unknown) => {
      if (session() === undefined) setProblem(cause instanceof Error ? cause : new OfflineError());
    });
  };
  begin();
  followScan();

  return (
    <>
      <Switch>
        <Match when={session()}>
          <House />
        </Match>
        <Match when={session() === null}>
          <SignIn />
        </Match>
        <Match when={problem()}>
          {(e) => (
            <main class="signin">
              <Failed error={e()} retry={begin} />
            </main>
          )}
        </Match>
      </Switch>
      <Toasts />
    </>
  );
}

const places: readonly { path: string; name: string; icon: IconName; phone: boolean }[] = [
  { path: "/", name: "Albums", icon: "albums", phone: true },
  { path: "/artists", name: "Artists", icon: "artists", phone: true },
  { path: "/search", name: "Search", icon: "search", phone: true },
  { path: "/starred", name: "Starred", icon: "star", phone: true },
  { path: "/playing", name: "Queue", icon: "queue", phone: true },
];

/** The part of a path that says which view it is, and what the view is of. */
function split(path: string): { view: string; id: string } {
  const [, view = "", id = ""] = path.split("/");
  return { view, id: safeDecode(id) };
}

function safeDecode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}

function House(): JSX.Element {
  const player = createPlayer();
  const media = connectMediaSession(player);
  const [offline, setOffline] = createSignal(!navigator.onLine);
  const [said, setSaid] = createSignal("");
  let root!: HTMLDivElement;
  let field!: HTMLInputElement;
  let main!: HTMLElement;
  let help!: HTMLDialogElement;

  const at = () => split(place().path);
  const route = createMemo(() => routes.find((r) => r.view === at().view && r.of === (at().id !== "")));

  onMount(() => {
    interceptLinks(root);
    player.restore().catch(complain);
    const online = () => setOffline(!navigator.onLine);
    const keys = (e: KeyboardEvent) => key(e);
    onCleanup(() => (document.title = "tutti"));
    const leave = () => {
      if (document.hidden && player.current()) player.save(true);
    };
    addEventListener("online", online);
    addEventListener("offline", online);
    addEventListener("keydown", keys);
    document.addEventListener("visibilitychange", leave);
    onCleanup(() => {
      removeEventListener("online", online);
      removeEventListener("offline", online);
      removeEventListener("keydown", keys);
      document.removeEventListener("visibilitychange", leave);
      player.stop();
    });
  });

  // A new view begins at its top, or where it was left, and takes the focus so that the next Tab is inside it.
  createEffect(
    on(
      () => place(),
      (p, before) => {
        if (before === undefined || (before.path === p.path && p.path === "/search")) return;
        requestAnimationFrame(() => scrollTo(0, p.scroll));
        if (before.path !== p.path && document.activeElement !== field) main.focus({ preventScroll: true });
      },
    ),
  );

  createEffect(() => {
    const track = player.current()?.track;
    const view = viewTitle();
    document.title = track !== undefined && player.state.playing ? `${track.title} · ${track.artist}` : view === "" ? "tutti" : `${view} · tutti`;
    media.update();
  });
  createEffect(
    on(
      () => [player.current()?.key, player.state.playing] as const,
      () => {
        const track = player.current()?.track;
        if (track !== undefined && player.state.playing) setSaid(t("sound.nowPlaying", { title: track.title, artist: track.artist }));
        media.position();
      },
    ),
  );

  const signOut = () => {
    player.save();
    send("DELETE", "session").then(() => {
      player.stop();
      forgetSession(false);
      go("/");
    }, complain);
  };

  function key(e: KeyboardEvent): void {
    const target = e.target instanceof HTMLElement ? e.target : document.body;
    const typing = target.matches("input:not([type=range]), select, textarea, [contenteditable]");
    if (e.key === "Escape" && target === field) {
      field.blur();
      main.focus({ preventScroll: true });
      return;
    }
    if (typing || help.open || e.ctrlKey || e.metaKey || e.altKey) return;
    const onSlider = target.matches("input[type=range]");
    const track = player.current()?.track;
    const does: Record<string, (() => void) | undefined> = {
      // A focused button or link has the space and arrow keys to itself.
      " ": target.matches("button, a, summary") ? undefined : () => player.toggle(),
      ArrowLeft: onSlider ? undefined : () => player.seek(player.state.positionMs - 5_000),
      ArrowRight: onSlider ? undefined : () => player.seek(player.state.positionMs + 5_000),
      "/": () => {
        // On a phone the field shows only in the search. Focus at once: whoever types fast means the next letter for it.
        if (field.offsetParent === null) go("/search");
        field.focus();
      },
      "?": () => help.showModal(),
      n: () => player.next(),
      p: () => player.previous(),
      m: () => player.toggleMute(),
      "+": () => player.setVolume(player.state.volume + 0.05),
      "-": () => player.setVolume(player.state.volume - 0.05),
      q: () => go("/playing"),
      s: track && (() => void toggleStar(track).catch(complain)),
    };
    const action = does[e.key];
    if (action === undefined) return;
    e.preventDefault();
    action();
  }

  const search = (text: string) => {
    const path = `/search${text === "" ? "" : `?q=${encodeURIComponent(text)}`}`;
    if (at().view === "search") replace(path);
    else go(path);
  };
  const inView = (path: string) => {
    const { view } = at();
    if (path === "/") return view === "" || view === "album";
    return path === `/${view}` || (path === "/artists" && view === "artist");
  };

  return (
    <PlayerProvider value={player}>
      <div ref={root} class="house" classList={{ "has-bar": player.current() !== undefined, "at-playing": at().view === "playing", "at-search": at().view === "search" }}>
        <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.focus(); }}>
          Skip to the music
        </a>
        <header class="top">
          <a class="brand" href={href("/")} aria-label="tutti, albums">
            <Logo />
            <span>tutti</span>
          </a>
          <search class="search">
            <Icon name="search" />
            <input
              ref={field}
              type="search"
              placeholder="Search"
              aria-label="Search the library"
              autocomplete="off"
              spellcheck={false}
              enterkeyhint="search"
              value={at().view === "search" ? (place().query.get("q") ?? "") : ""}
              onInput={(e) => search(e.currentTarget.value)}
            />
            <kbd aria-hidden="true">/</kbd>
          </search>
          <a class="icon-button account" href={href("/settings")} aria-label="Library and account" title="Library and account" aria-current={at().view === "settings" ? "page" : undefined}>
            <Icon name="settings" />
          </a>
        </header>
        <nav class="rail" aria-label="Views">
          <ul>
            <For each={places}>
              {(p) => (
                <li>
                  <a href={href(p.path)} aria-current={inView(p.path) ? "page" : undefined}>
                    <Icon name={p.icon} />
                    <span>{p.name}</span>
                  </a>
                </li>
              )}
            </For>
          </ul>
          <div class="rail-end">
            <ScanProgress />
          </div>
        </nav>
        <main id="main" ref={main} tabindex="-1">
          <Show when={offline() || lost()}>
            <p class="banner" role="status">
              {t(offline() ? "house.offline" : "house.lost")} What is loaded keeps playing; the rest comes back with the connection.
            </p>
          </Show>
          <Show
            when={route()}
            keyed
            fallback={
              <Message title={t("house.noSuchPage")} action={<a class="button" href={href("/")}>{t("house.toAlbums")}</a>}>
                <p>{t("house.mistyped")}</p>
              </Message>
            }
          >
            {(r) => (
              <Suspense fallback={<Waiting />}>
                <r.component id={at().id} onSignOut={signOut} onHelp={() => help.showModal()} />
              </Suspense>
            )}
          </Show>
        </main>
        <PlayerBar />
        <p class="visually-hidden" role="status" aria-live="polite">
          {said()}
        </p>
        <Help ref={(el) => (help = el)} />
      </div>
    </PlayerProvider>
  );
}

const shortcuts: readonly [string, string][] = [
  ["Space", "Play or pause"],
  ["← →", "Five seconds back or on"],
  ["N / P", "Next or previous track"],
  ["+ / −", "Louder or quieter"],
  ["M", "Mute"],
  ["S", "Star what plays"],
  ["Q", "Now playing and queue"],
  ["/", "Search"],
  ["?", "This list"],
];

function Help(props: { ref: (el: HTMLDialogElement) => void }): JSX.Element {
  let dialog!: HTMLDialogElement;
  return (
    <dialog
      ref={(el) => {
        dialog = el;
        props.ref(el);
      }}
      class="help"
      aria-labelledby="help-title"
      onClick={(e) => e.target === dialog && dialog.close()}
    >
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl>
        <For each={shortcuts}>
          {([k, what]) => (
            <div>
              <dt>
                <kbd>{k}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          )}
        </For>
      </dl>
      <button type="button" class="button" onClick={() => dialog.close()}>
        Close
      </button>
    </dialog>
  );
}

