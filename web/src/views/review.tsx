import { createEffect, createMemo, createSignal, For, type JSX, on, Show } from "solid-js";
import { get, send } from "../api/client";
import { can } from "../api/state";
import type { Decision, DecidedReply, Suggestion, SuggestionsReply } from "../api/wire";
import { preferences } from "../preferences";
import { href } from "../router";
import type { ViewProps } from "../routes";
import { Segmented } from "../ui/choice";
import { Form, openDialog } from "../ui/dialog";
import { clock, day } from "../ui/format";
import { Icon } from "../ui/icons";
import { Await, complain, Message, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { type Key, t, tag, teach } from "../words";
import english from "../words/en/review.json";
import { compare, type Piece } from "./reviewdiff";
import "./review.css";

teach(english);

const kinds = ["split", "spelling", "title", "owner", "genre", "year", "mood", "duplicate"] as const satisfies readonly Suggestion["kind"][];

/** The evidence that there are words for. */
const reasons = ["alone", "separator", "spelling", "version", "work", "share", "folder", "elsewhere", "artist", "model", "same"] as const;

/** From which probability on a suggestion is among the surest. */
const sure = 0.95;
const pageLength = 100;

type State = Suggestion["state"];

const percent = (p: number): string => p.toLocaleString(tag(), { style: "percent" });

/** Suggestions for the library's tags, to accept, edit and reject. /review shows all, /review/split those of a kind. */
export function Review(props: ViewProps): JSX.Element {
  useTitle(() => t("review.name"));
  const kind = createMemo(() => kinds.find((k) => k === props.id));
  const [decided, setDecided] = createSignal(false);
  const [reply, setReply] = createSignal<SuggestionsReply>();
  const [items, setItems] = createSignal<readonly Suggestion[]>([]);
  const [problem, setProblem] = createSignal<Error>();
  const [chosen, setChosen] = createSignal<ReadonlySet<string>>(new Set());
  const [at, setAt] = createSignal(0);
  let listed!: HTMLUListElement; // while there is a list, and so whenever something is decided
  let asked = 0;

  const read = async (offset = 0): Promise<void> => {
    const mine = ++asked;
    const k = kind();
    const query = { state: decided() ? "all" : "open", ...(k === undefined ? {} : { kind: k }), offset, limit: pageLength };
    try {
      const r = await get<SuggestionsReply>("suggestions", query);
      if (mine !== asked) return;
      // What was decided comes with what was not; the latest decisions come first.
      const fresh = decided() ? r.items.filter((s) => s.state !== "open") : r.items;
      setProblem(undefined);
      setReply(r);
      // What has not changed stays the same object, and so keeps its row and the focus in it.
      const had = new Map(items().map((s) => [s.id, s]));
      const settled = fresh.map((s) => {
        const old = had.get(s.id);
        return old !== undefined && JSON.stringify(old) === JSON.stringify(s) ? old : s;
      });
      setItems(offset === 0 ? settled : [...items().slice(0, offset), ...settled]);
    } catch (cause) {
      if (mine === asked) setProblem(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  createEffect(
    on([kind, decided], () => {
      setReply(undefined);
      setItems([]);
      setChosen(new Set<string>());
      setAt(0);
      void read();
    }),
  );

  const name = (s: Suggestion) => s.subject || (s.same?.[0]?.title ?? s.of);
  const total = (k: Suggestion["kind"] | undefined) =>
    (reply()?.counts ?? []).filter((c) => k === undefined || c.kind === k).reduce((n, c) => n + (decided() ? c.decided : c.open), 0);

  /** Decides, takes what was decided off the list, and offers to take it back. */
  const decide = async (list: readonly Suggestion[], state: State, after?: string[][]): Promise<void> => {
    if (list.length === 0) return;
    const before = items();
    const ids = new Set(list.map((s) => s.id));
    // Taking an edited suggestion back and accepting it anew are the server's to know; the page shows what it answers.
    const decisions: Decision[] = list.map((s) => ({ id: s.id, state, ...(after === undefined ? {} : { after }) }));
    const { items: now } = await send<DecidedReply>("POST", "suggestions/decisions", { decisions });
    const inside = listed.contains(document.activeElement);
    setItems(before.filter((s) => !ids.has(s.id)));
    setChosen(new Set<string>());
    setAt((n) => Math.max(0, Math.min(n, items().length - 1)));
    // The row that had the focus is gone; the next one takes it, or the view where there is none.
    if (inside) (items().length > 0 ? rowAt(at()) : document.getElementById("main"))?.focus();
    const count = now.length;
    const undo = async () => {
      // Each goes back to where it was: what had been decided before is decided so again.
      await send("POST", "suggestions/decisions", {
        decisions: list.map((s) => ({ id: s.id, state: s.state, ...(s.state === "edited" ? { after: s.changes.map((c) => c.after) } : {}) })),
      });
      await read();
    };
    const key: Key = state === "open" ? "review.didTakeBack" : state === "rejected" ? "review.didReject" : "review.didAccept";
    say(t(key, { count }), false, { name: t("review.undo"), run: () => void undo().catch(complain) });
    await read();
  };
  const run = (work: Promise<void>): void => void work.catch(complain);

  const edit = async (s: Suggestion): Promise<void> => {
    await openDialog(name(s), (close) => <Edit suggestion={s} close={close} save={(after) => decide([s], "edited", after)} />);
  };

  const toggle = (id: string) => {
    const next = new Set(chosen());
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const picked = () => items().filter((s) => chosen().has(s.id));

  const rowAt = (n: number) => listed.querySelectorAll<HTMLElement>(":scope > li")[n];
  const move = (to: number) => {
    setAt(Math.max(0, Math.min(to, items().length - 1)));
    rowAt(at())?.focus();
    rowAt(at())?.scrollIntoView({ block: "nearest" });
  };
  const keys = (e: KeyboardEvent) => {
    const s = items()[at()];
    if (e.target instanceof HTMLElement && e.target.matches("input, a") && e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    if (s === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    const actions: Record<string, (() => void) | undefined> = {
      ArrowDown: () => move(at() + 1),
      ArrowUp: () => move(at() - 1),
      Home: () => move(0),
      End: () => move(items().length - 1),
      ...(preferences.letters
        ? {
            ...(decided() || s.changes.length === 0 ? {} : { a: () => run(decide([s], "accepted")), e: () => run(edit(s)) }),
            r: () => run(decide([s], decided() ? "open" : "rejected")),
            x: () => toggle(s.id),
          }
        : {}),
    };
    const action = actions[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (action === undefined) return;
    e.preventDefault();
    action();
  };

  const look = () => {
    send("POST", "suggestions/look").then(() => say(t("review.looking")), complain);
  };

  return (
    <Show when={can("admin")} fallback={<Message whole title={t("house.notHere")} />}>
      <header class="view-head">
        <div>
          <h1>{t("review.name")}</h1>
          <p class="muted review-about">{t("review.text")}</p>
        </div>
        <div class="review-looked">
          <p class="muted">
            <Show when={reply()?.looked} fallback={reply() === undefined ? "" : t("review.neverLooked")}>
              {(when) => t("review.looked", { date: day(when()) })}
            </Show>
          </p>
          <button type="button" class="button small" onClick={look}>
            {t("review.look")}
          </button>
        </div>
      </header>
      <nav class="sections" aria-label={t("review.kinds")}>
        <ul>
          <For each={[undefined, ...kinds.filter((k) => k === kind() || total(k) > 0)]}>
            {(k) => (
              <li>
                <a href={href(k === undefined ? "/review" : `/review/${k}`)} aria-current={kind() === k ? "page" : undefined}>
                  {t(k === undefined ? "review.all" : `review.${k}`)} <span class="count">{total(k).toLocaleString(tag())}</span>
                </a>
              </li>
            )}
          </For>
        </ul>
      </nav>
      <div class="review-bar">
        <Segmented
          label={t("review.state")}
          value={decided() ? "decided" : "open"}
          options={(["open", "decided"] as const).map((value) => ({ value, label: t(`review.${value}`) }))}
          onChange={(v) => setDecided(v === "decided")}
        />
        <Show when={items().length > 0}>
          <div class="review-bulk" role="group" aria-label={t("review.selected", { count: chosen().size })}>
            <Show
              when={chosen().size > 0}
              fallback={
                <>
                  <Show when={!decided() && items().some((s) => s.probability >= sure && s.changes.length > 0)}>
                    <button type="button" class="button small" onClick={() => setChosen(new Set(items().filter((s) => s.probability >= sure && s.changes.length > 0).map((s) => s.id)))}>
                      {t("review.selectLikely")}
                    </button>
                  </Show>
                  <button type="button" class="button small" onClick={() => setChosen(new Set(items().map((s) => s.id)))}>
                    {t("review.selectAll", { count: items().length })}
                  </button>
                </>
              }
            >
              <span aria-live="polite">{t("review.selected", { count: chosen().size })}</span>
              <Show
                when={!decided()}
                fallback={
                  <button type="button" class="button small" onClick={() => run(decide(picked(), "open"))}>
                    {t("review.takeBack")}
                  </button>
                }
              >
                <Show when={picked().some((s) => s.changes.length > 0)}>
                  <button type="button" class="button small primary" onClick={() => run(decide(picked().filter((s) => s.changes.length > 0), "accepted"))}>
                    {t("review.accept")}
                  </button>
                </Show>
                <button type="button" class="button small" onClick={() => run(decide(picked(), "rejected"))}>
                  {t("review.reject")}
                </button>
              </Show>
              <button type="button" class="button small" onClick={() => setChosen(new Set<string>())}>
                {t("review.clear")}
              </button>
            </Show>
          </div>
        </Show>
      </div>
      <Await value={reply()} error={problem()} retry={() => void read()}>
        {() => (
          <Show
            when={items().length > 0}
            fallback={
              <Message icon="check" title={t(decided() ? "review.noneDecided" : "review.none")}>
                <p>{t(decided() ? "review.noneDecided.text" : "review.none.text")}</p>
              </Message>
            }
          >
            <p id="review-keys" class="visually-hidden">
              {t("review.keys")}
            </p>
            <ul ref={listed} class="review-list" role="list" aria-label={t("review.list")} aria-describedby="review-keys" onKeyDown={keys}>
              <For each={items()}>
                {(s, i) => (
                  <li tabindex={at() === i() ? 0 : -1} classList={{ chosen: chosen().has(s.id) }} onFocusIn={() => setAt(i())}>
                    <label class="pick">
                      <input type="checkbox" aria-label={t("review.select", { name: name(s) })} checked={chosen().has(s.id)} onChange={() => toggle(s.id)} />
                    </label>
                    <div class="what">
                      <Show when={s.changes.length > 0} fallback={<Same suggestion={s} />}>
                        <Show when={s.subject !== s.changes[0]?.before[0]}>
                          <h2 dir="auto">{name(s)}</h2>
                        </Show>
                        <For each={s.changes}>{(c) => <Change change={c} alone={s.changes.length === 1} />}</For>
                      </Show>
                      <Evidence suggestion={s} decided={decided()} />
                    </div>
                    <div class="review-actions">
                      <Show
                        when={!decided()}
                        fallback={
                          <button type="button" class="button small" aria-label={t("review.takeBackOf", { name: name(s) })} onClick={() => run(decide([s], "open"))}>
                            {t("review.takeBack")}
                          </button>
                        }
                      >
                        <Show when={s.changes.length > 0}>
                          <button type="button" class="button small primary" aria-label={t("review.acceptOf", { name: name(s) })} onClick={() => run(decide([s], "accepted"))}>
                            {t("review.accept")}
                          </button>
                          <button type="button" class="button small" aria-label={t("review.editOf", { name: name(s) })} onClick={() => run(edit(s))}>
                            {t("review.edit")}
                          </button>
                        </Show>
                        <button type="button" class="button small" aria-label={t("review.rejectOf", { name: name(s) })} onClick={() => run(decide([s], "rejected"))}>
                          {t(s.changes.length > 0 ? "review.reject" : "review.dismiss")}
                        </button>
                      </Show>
                    </div>
                  </li>
                )}
              </For>
            </ul>
            <Show when={total(kind()) > items().length}>
              <div class="review-more">
                <button type="button" class="button" onClick={() => void read(items().length)}>
                  {t("review.more")}
                </button>
              </div>
            </Show>
          </Show>
        )}
      </Await>
    </Show>
  );
}

/** What tells two texts apart is marked, for those who do not see colours as well as for those who do. */
function Marked(props: { pieces: readonly Piece[]; gone: boolean }): JSX.Element {
  return (
    <bdi class={props.gone ? "value gone" : "value"}>
      <For each={props.pieces}>{(p) => (p.differs ? props.gone ? <del>{p.text}</del> : <ins>{p.text}</ins> : p.text)}</For>
    </bdi>
  );
}

function Change(props: { change: Suggestion["changes"][number]; alone: boolean }): JSX.Element {
  const both = createMemo(() => compare(props.change.before, props.change.after));
  return (
    <p class="change">
      <Show when={!props.alone || props.change.field !== "artist"}>
        <span class="field">{t(`review.field.${props.change.field}`)}</span>
      </Show>
      <span class="values">
        <For each={both().before} fallback={<span class="nothing">{t("review.nothing")}</span>}>
          {(pieces) => <Marked pieces={pieces} gone />}
        </For>
      </span>
      <span class="arrow">
        <span class="visually-hidden">{t("review.becomes")}</span>
        <Icon name="forward" />
      </span>
      <span class="values">
        <For each={both().after}>{(pieces) => <Marked pieces={pieces} gone={false} />}</For>
      </span>
    </p>
  );
}

function Same(props: { suggestion: Suggestion }): JSX.Element {
  const first = () => props.suggestion.same?.[0];
  return (
    <>
      <h2 dir="auto">{first() === undefined ? props.suggestion.of : `${first()?.artist ?? ""} · ${first()?.title ?? ""}`}</h2>
      <ul class="same" role="list">
        <For each={props.suggestion.same ?? []}>
          {(track) => (
            <li>
              <a href={href(`/album/${track.albumId ?? ""}`)} dir="auto">
                {track.album ?? track.title}
              </a>
              <span class="muted">
                {clock(track.durationMs)} · {track.suffix.toUpperCase()} {track.lossless ? "" : (track.bitRate ?? "")} · <bdi>{track.path}</bdi>
              </span>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}

function Evidence(props: { suggestion: Suggestion; decided: boolean }): JSX.Element {
  const parts = () => {
    const s = props.suggestion;
    const why = reasons.find((r) => r === s.why);
    const said = [t("review.tracks", { count: s.tracks })];
    if (why !== undefined) said.push(t(`review.why.${why}`));
    if (s.source !== "rules") said.push(t("review.from", { source: [s.source, s.model].filter(Boolean).join(" ") }));
    if (props.decided) {
      said.unshift(t(`review.${s.state}`));
      if (s.decided !== undefined) said.push(day(s.decided));
      said.push(s.by === undefined ? t("review.byRule") : t("review.by", { name: s.by }));
    }
    return said;
  };
  return (
    <p class="evidence">
      <span class="sure" style={{ "--sure": String(props.suggestion.probability) }}>
        {t("review.sure", { percent: percent(props.suggestion.probability) })}
      </span>
      <For each={parts()}>{(p) => <span>{p}</span>}</For>
    </p>
  );
}

/** Other values than those suggested. */
function Edit(props: { suggestion: Suggestion; close: () => void; save: (after: string[][]) => Promise<void> }): JSX.Element {
  const values: string[][] = props.suggestion.changes.map((c) => [...c.after]);
  const single = (field: Suggestion["changes"][number]["field"]) => ["year", "title", "work", "movement"].includes(field);
  return (
    <Form action={t("review.accept")} close={props.close} submit={() => props.save(values)}>
      <div class="fields">
        <For each={props.suggestion.changes}>
          {(c, i) => (
            <label>
              {t(`review.field.${c.field}`)}
              <Show
                when={!single(c.field)}
                fallback={<input required dir="auto" value={c.after[0] ?? ""} onInput={(e) => (values[i()] = [e.currentTarget.value.trim()])} />}
              >
                <textarea
                  required
                  dir="auto"
                  rows={Math.min(8, c.after.length + 1)}
                  value={c.after.join("\n")}
                  onInput={(e) => (values[i()] = e.currentTarget.value.split("\n").map((line) => line.trim()).filter((line) => line !== ""))}
                />
                <span class="hint">{t("review.oneALine")}</span>
              </Show>
            </label>
          )}
        </For>
      </div>
    </Form>
  );
}
