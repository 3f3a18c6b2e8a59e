import { createEffect, createMemo, createSignal, For, type JSX, Match, on, onCleanup, onMount, Show, Suspense, Switch } from "solid-js";
import { ApiError, get, OfflineError, send, whenSignedOut } from "./api/client";
import { followEvents, forgetSession, lost, queueSaved, session, setSession } from "./api/state";
import type { SessionReply } from "./api/wire";
import { forgetWho, isRenewed, loadRenewed, startWorker, tellWho } from "./offline/worker";
import { PlayerProvider } from "./player/context";
import { connectMediaSession, createPlayer } from "./player/player";
import { preferences, wearPreferences } from "./preferences";
import { go, href, interceptLinks, place, replace } from "./router";
import { fetchViewsWhenIdle, routeOf } from "./routes";
import { isCharacter, keyReader } from "./shortcuts";
import { Chunked, chunk } from "./ui/chunk";
import { Icon, type IconName } from "./ui/icons";
import { complain, Failed, Message, Toasts, Waiting } from "./ui/parts";
import { prefetchLinks } from "./ui/prefetch";
import { restoreScroll } from "./ui/restore";
import { viewTitle } from "./ui/title";
import { PlayerBar } from "./views/bar";
import { ScanProgress } from "./views/scan";
import { Logo, SignIn } from "./views/signin";
import { type Key, t } from "./words";

export function App(): JSX.Element {
  const [problem, setProblem] = createSignal<Error>();
  whenSignedOut(() => {
    const user = session()?.user.id;
    forgetSession(true);
    forgetWho(user).catch(complain);
  });

  const begin = () => {
    setProblem(undefined);
    get<SessionReply>("session").then(setSession, (cause: unknown) => {
      if (session() === undefined) setProblem(cause instanceof Error ? cause : new OfflineError());
    });
  };
  begin();
  followEvents();
  wearPreferences();
  createEffect(() => {
    const user = session()?.user.id;
    if (user !== undefined) tellWho(user).catch(complain);
  });

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
              <Failed whole error={e()} retry={begin} />
            </main>
          )}
        </Match>
      </Switch>
      <Toasts />
    </>
  );
}

interface Place {
  path: string;
  name: Key;
  icon: IconName;
  /** Other views that belong to this one. */
  also?: readonly string[];
  /** It has a tab of its own on a phone; the others are behind "More". */
  tab?: boolean;
  /** It is only for a phone, where what leads there elsewhere has no room. */
  phone?: boolean;
}

/** Where the frame leads, in three groups. */
const groups: readonly (readonly Place[])[] = [
  [
    { path: "/", name: "house.home", icon: "home", tab: true },
    { path: "/search", name: "house.search", icon: "search", tab: true, phone: true },
    { path: "/albums", name: "house.albums", icon: "albums", also: ["album"], tab: true },
    { path: "/artists", name: "house.artists", icon: "artists", also: ["artist"] },
    { path: "/tracks", name: "house.tracks", icon: "tracks" },
    { path: "/genres", name: "house.genres", icon: "genres", also: ["genre"] },
    { path: "/folders", name: "house.folders", icon: "folders", also: ["folder"] },
  ],
  [
    { path: "/playlists", name: "house.playlists", icon: "playlists", also: ["playlist"] },
    { path: "/starred", name: "house.starred", icon: "star" },
    { path: "/rooms", name: "rooms.title", icon: "rooms" },
    { path: "/radio", name: "house.radio", icon: "radio" },
    { path: "/shares", name: "house.shares", icon: "share" },
    { path: "/offline", name: "house.kept", icon: "offline" },
  ],
  [
    { path: "/playing", name: "house.queue", icon: "queue", also: ["queue"], tab: true },
    { path: "/carbon", name: "house.footprint", icon: "leaf" },
  ],
];

/** The groups as far as there are views for them. */
const places = groups.map((group) => group.filter((p) => routeOf(p.path.slice(1), "") !== undefined));
const behindMore: readonly Place[] = places.flat().filter((p) => !p.tab);
const settingsPlace: Place = { path: "/settings", name: "house.settings", icon: "settings" };

const help = chunk(async () => (await import("./views/help")).Help);

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
  const [helping, setHelping] = createSignal(false);
  const readKey = keyReader();
  let root!: HTMLDivElement;
  let field!: HTMLInputElement;
  let main!: HTMLElement;
  let sheet!: HTMLDialogElement;

  const at = createMemo(() => split(place().path));
  const route = createMemo(() => routeOf(at().view, at().id));

  createEffect(() => {
    if (queueSaved() !== undefined) player.restore().catch(complain);
  });
  createEffect(() => {
    if (!preferences.endless) return;
    let ends: (() => void) | undefined;
    let left = false;
    onCleanup(() => {
      left = true;
      ends?.();
    });
    import("./player/endless").then((m) => {
      if (!left) ends = m.goOn(player);
    }, complain);
  });
  onMount(() => {
    interceptLinks(root);
    onCleanup(prefetchLinks(root));
    player.restore().catch(complain);
    fetchViewsWhenIdle();
    // A browser may refuse, as in a private window: then nothing can be kept, and nothing else is missing.
    startWorker().catch(() => undefined);
    const online = () => setOffline(!navigator.onLine);
    const keys = (e: KeyboardEvent) => key(e);
    onCleanup(() => (document.title = "tutti"));
    const leave = () => {
      if (player.current()) void player.save(true);
    };
    const hide = () => {
      if (document.hidden) leave();
    };
    addEventListener("online", online);
    addEventListener("offline", online);
    addEventListener("keydown", keys);
    document.addEventListener("visibilitychange", hide);
    // Not every browser hides a page that is closed first.
    addEventListener("pagehide", leave);
    onCleanup(() => {
      removeEventListener("online", online);
      removeEventListener("offline", online);
      removeEventListener("keydown", keys);
      document.removeEventListener("visibilitychange", hide);
      removeEventListener("pagehide", leave);
      player.stop();
    });
  });

  // A new view begins at its top, or where it was left, and takes the focus so that the next Tab is inside it.
  createEffect(
    on(
      () => place(),
      (p, before) => {
        if (before === undefined || (before.path === p.path && p.path === "/search")) return;
        sheet.close();
        restoreScroll(p.scroll);
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

  const signOut = async () => {
    const user = session()?.user.id;
    await player.save(); // while this account may still keep its queue
    try {
      await send("DELETE", "session");
    } catch (cause) {
      // A session that the server had ended already is what was wanted.
      if (!(cause instanceof ApiError && cause.status === 401)) throw cause;
    }
    player.stop();
    forgetSession(false);
    go("/");
    await forgetWho(user);
  };

  const toSearch = () => {
    // On a phone the field shows only in the search. Focus at once: whoever types fast means the next letter for it.
    if (field.offsetParent === null) go("/search");
    field.focus();
  };

  function key(e: KeyboardEvent): void {
    const target = e.target instanceof HTMLElement ? e.target : document.body;
    if (e.key === "Escape" && target === field) {
      field.blur();
      main.focus({ preventScroll: true });
      return;
    }
    const typing = target.matches("input:not([type=range], [type=checkbox], [type=radio]), select, textarea, [contenteditable]");
    // A dialog or menu that is open has the keys to itself, and so has what has used a key already.
    if (e.defaultPrevented || typing || e.ctrlKey || e.metaKey || e.altKey || target.closest("dialog, [role=menu]") !== null) return;
    if (isCharacter(e.key) && !preferences.letters) return;
    const shortcut = readKey(e.key, e.timeStamp);
    if (shortcut === undefined) return;
    if (shortcut.yields === "buttons" && target.matches("button, a, summary, input")) return;
    if (shortcut.yields === "sliders" && target.matches("input, [role=slider]")) return;
    e.preventDefault();
    shortcut.run({ player, search: toSearch, help: () => setHelping(true), failed: complain }, e.key);
  }

  const search = (text: string) => {
    const path = `/search${text === "" ? "" : `?q=${encodeURIComponent(text)}`}`;
    if (at().view === "search") replace(path);
    else go(path);
  };
  const isHere = (p: Place) => at().view === p.path.slice(1) || (p.also?.includes(at().view) ?? false);
  const PlaceLink = (p: { place: Place }) => (
    <a href={href(p.place.path)} aria-current={isHere(p.place) ? "page" : undefined} title={t(p.place.name)}>
      <Icon name={p.place.icon} />
      <span>{t(p.place.name)}</span>
    </a>
  );

  return (
    <PlayerProvider value={player}>
      <div ref={root} class="house" classList={{ "has-bar": player.current() !== undefined || player.state.station !== undefined, "at-playing": at().view === "playing", "at-search": at().view === "search" }}>
        <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.focus(); }}>
          {t("house.skip")}
        </a>
        <header class="top">
          <a class="brand" href={href("/")} aria-label={t("house.brand")}>
            <Logo />
            <span>tutti</span>
          </a>
          <search class="search">
            <Icon name="search" />
            <input
              ref={field}
              type="search"
              placeholder={t("house.search")}
              aria-label={t("house.searchLabel")}
              autocomplete="off"
              spellcheck={false}
              enterkeyhint="search"
              dir="auto"
              value={at().view === "search" ? (place().query.get("q") ?? "") : ""}
              onInput={(e) => search(e.currentTarget.value)}
            />
            <Show when={preferences.letters}>
              <kbd aria-hidden="true">/</kbd>
            </Show>
          </search>
          <a class="icon-button account" href={href("/settings")} aria-label={t("house.settings")} title={t("house.settings")} aria-current={at().view === "settings" ? "page" : undefined}>
            <Icon name="settings" />
          </a>
        </header>
        <nav class="rail" aria-label={t("house.views")}>
          <For each={places}>
            {(group) => (
              <ul>
                <For each={group}>
                  {(p) => (
                    <li classList={{ tab: p.tab ?? false, "phone-only": p.phone ?? false }}>
                      <PlaceLink place={p} />
                    </li>
                  )}
                </For>
              </ul>
            )}
          </For>
          <button
            type="button"
            class="rail-more"
            aria-haspopup="dialog"
            data-current={behindMore.some(isHere) ? "" : undefined}
            onClick={() => sheet.showModal()}
          >
            <Icon name="menu" />
            <span>{t("house.more")}</span>
          </button>
          <div class="rail-end">
            <ScanProgress />
          </div>
        </nav>
        <dialog ref={sheet} class="more-sheet" aria-label={t("house.more")} onClick={(e) => e.target === sheet && sheet.close()}>
          <ul onClick={(e) => e.target !== e.currentTarget && sheet.close()}>
            <For each={[...behindMore, settingsPlace]}>
              {(p) => (
                <li>
                  <PlaceLink place={p} />
                </li>
              )}
            </For>
          </ul>
          <button type="button" class="button wide" onClick={() => sheet.close()}>
            {t("house.close")}
          </button>
        </dialog>
        <main id="main" ref={main} tabindex="-1" aria-label={viewTitle() || undefined}>
          <Show when={offline() || lost()}>
            <p class="banner" role="status">
              {t(offline() ? "house.offline" : "house.lost")} {t("house.keepsPlaying")}
            </p>
          </Show>
          <Show when={isRenewed()}>
            <p class="banner renewed" role="status">
              {t("house.newPage")}
              <button type="button" class="button small" onClick={loadRenewed}>
                {t("house.reload")}
              </button>
            </p>
          </Show>
          <Show
            when={route()}
            keyed
            fallback={
              <Message whole title={t("house.noSuchPage")} action={<a class="button" href={href("/")}>{t("house.toHome")}</a>}>
                <p>{t("house.mistyped")}</p>
              </Message>
            }
          >
            {(r) => (
              <Suspense fallback={<Waiting />}>
                <Chunked chunk={r.chunk} props={{ id: at().id, onSignOut: () => void signOut().catch(complain), onHelp: () => setHelping(true) }} />
              </Suspense>
            )}
          </Show>
        </main>
        <PlayerBar />
        <p class="visually-hidden" role="status" aria-live="polite">
          {said()}
        </p>
        <Show when={helping()}>
          <Chunked chunk={help} props={{ onClose: () => setHelping(false) }} />
        </Show>
      </div>
    </PlayerProvider>
  );
}
