import { createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, onMount, Show } from "solid-js";
import { load } from "../api/state";
import type { Lyrics, LyricsItems, Track } from "../api/wire";
import { usePlayer } from "../player/context";
import { Await, Message } from "../ui/parts";
import { t, tag } from "../words";
import { dueMs, lineAt, nextChange, partsOf } from "./lyricstime";
import "./lyrics.css";

/** The words of what plays. Those that know their time follow the music, and a press on one goes there. */
export function LyricsPanel(props: { track: Track }): JSX.Element {
  const found = load<LyricsItems>(() => ({ path: `tracks/${encodeURIComponent(props.track.id)}/lyrics` }));
  const [chosen, setChosen] = createSignal(0);
  createEffect(on(() => props.track.id, () => setChosen(0)));
  /** Synced ones first: they say more. */
  const all = createMemo(() => (found.value()?.items ?? []).toSorted((a, b) => Number(b.synced) - Number(a.synced)));
  return (
    <Await value={found.value()} error={found.error()} retry={found.retry}>
      {() => (
        <Show
          when={all()[chosen()] ?? all()[0]}
          keyed
          fallback={
            <Message icon="lyrics" title={t("lists.lyrics.none")}>
              <p>{t("lists.lyrics.none.text")}</p>
            </Message>
          }
        >
          {(lyrics) => <Words lyrics={lyrics} all={all()} choose={setChosen} chosen={Math.max(0, all().indexOf(lyrics))} />}
        </Show>
      )}
    </Await>
  );
}

/** A language by its name in the reader's language; undetermined ones are told apart by whether they are synced. */
function languageOf(lyrics: Lyrics): string {
  const known = lyrics.lang === "und" || lyrics.lang === "xxx" || lyrics.lang === "" ? undefined : languageName(lyrics.lang);
  return t(lyrics.synced ? "lists.lyrics.synced" : "lists.lyrics.plain", { language: known ?? t("lists.lyrics.unknown") });
}

function languageName(code: string): string | undefined {
  try {
    return new Intl.DisplayNames(tag(), { type: "language" }).of(code);
  } catch {
    return code; // not a language tag; the file's own word for it
  }
}

function Words(props: { lyrics: Lyrics; all: readonly Lyrics[]; chosen: number; choose: (index: number) => void }): JSX.Element {
  const [follows, setFollows] = createSignal(true);
  return (
    <div class="lyrics" classList={{ unsynced: !props.lyrics.synced }}>
      <div class="lyrics-tools">
        <Show when={props.all.length > 1}>
          <label class="choice">
            <span class="visually-hidden">{t("lists.lyrics.language")}</span>
            <select onChange={(e) => props.choose(e.currentTarget.selectedIndex)}>
              <For each={props.all}>{(l, i) => <option selected={i() === props.chosen}>{languageOf(l)}</option>}</For>
            </select>
          </label>
        </Show>
        <Show when={props.lyrics.synced}>
          <button type="button" class="button small" aria-pressed={follows()} onClick={() => setFollows(!follows())}>
            {t("lists.lyrics.follow")}
          </button>
        </Show>
      </div>
      <Show when={props.lyrics.synced} fallback={<div lang={langOf(props.lyrics)}><For each={props.lyrics.lines}>{(line) => <p dir="auto">{line.text}</p>}</For></div>}>
        <Synced lyrics={props.lyrics} follows={follows()} letGo={() => setFollows(false)} />
      </Show>
    </div>
  );
}

const langOf = (lyrics: Lyrics): string | undefined => (lyrics.lang === "und" || lyrics.lang === "xxx" ? undefined : lyrics.lang);

function Synced(props: { lyrics: Lyrics; follows: boolean; letGo: () => void }): JSX.Element {
  const player = usePlayer();
  let list!: HTMLOListElement;
  const now = createHeard(() => props.lyrics);
  const line = createMemo(() => lineAt(props.lyrics, now()));

  // Whoever scrolls wants to read elsewhere; the page's own scrolling is no such wish.
  onMount(() => {
    const letGo = () => props.letGo();
    const keys = (e: KeyboardEvent) => {
      if (["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"].includes(e.key)) props.letGo();
    };
    list.addEventListener("wheel", letGo, { passive: true });
    list.addEventListener("touchmove", letGo, { passive: true });
    list.addEventListener("keydown", keys);
    onCleanup(() => {
      list.removeEventListener("wheel", letGo);
      list.removeEventListener("touchmove", letGo);
      list.removeEventListener("keydown", keys);
    });
  });
  createEffect(
    on([line, () => props.follows], ([at, follows]) => {
      if (!follows) return;
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      requestAnimationFrame(() => {
        const row = list.children[Math.max(0, at)];
        const box = row === undefined ? undefined : around(row);
        if (!(row instanceof HTMLElement) || box === undefined) return;
        const top = box.scrollTop + row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight * 0.3;
        box.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
      });
    }),
  );

  return (
    <ol ref={list} class="lyrics-lines" role="list" aria-label={t("lists.lyrics")} lang={langOf(props.lyrics)}>
      <For each={props.lyrics.lines}>
        {(l, i) => (
          <li classList={{ "now-sung": i() === line() }}>
            <button type="button" class="lyrics-line" dir="auto" aria-current={i() === line() ? "true" : undefined} onClick={() => player.seek(Math.max(0, dueMs(props.lyrics, l)))}>
              <Show when={l.text.trim() !== ""} fallback={<><span class="lyrics-pause" aria-hidden="true">♪</span><span class="visually-hidden">{t("lists.lyrics.pause")}</span></>}>
                <For each={partsOf(props.lyrics, l)}>{(p) => <span classList={{ part: p.startMs !== undefined, sung: p.startMs !== undefined && p.startMs <= now() }}>{p.text}</span>}</For>
              </Show>
            </button>
          </li>
        )}
      </For>
    </ol>
  );
}

/** What scrolls the lines: the panel around them. */
const around = (row: Element): Element | undefined => row.closest(".panel-scroll") ?? undefined;

/**
 * Where the music is, to the line and the word. The player says it four times a second, which is too seldom to sing along
 * to; between two reports a timer waits for just the next line or word. While the music rests or the page is hidden,
 * nothing runs.
 */
function createHeard(lyrics: () => Lyrics): () => number {
  const player = usePlayer();
  const [ms, setMs] = createSignal(player.state.positionMs);
  createEffect(() => {
    const from = player.state.positionMs;
    const going = player.state.playing && !player.state.waiting;
    const { speed } = player.state;
    const words = lyrics();
    const began = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = (at: number) => {
      setMs(at);
      const next = nextChange(words, at);
      if (!going || next === undefined || document.hidden) return;
      const due = (next - from) / speed;
      if (due > 1_000) return; // the player reports before that
      timer = setTimeout(() => wait(next), Math.max(0, due - (performance.now() - began)));
    };
    wait(from);
    onCleanup(() => clearTimeout(timer));
  });
  return ms;
}
