import { createSignal, For, type JSX, Show } from "solid-js";
import { get, send } from "../api/client";
import { load } from "../api/state";
import type { Share, ShareItems } from "../api/wire";
import { confirm } from "../ui/dialog";
import { day } from "../ui/format";
import { Await, complain, Cover, Message, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { t } from "../words";
import { copyLink, editShare } from "./sharedialog";
import "./shares.css";

export function Shares(): JSX.Element {
  useTitle(() => t("lists.shares"));
  const shares = load<ShareItems>(() => ({ path: "shares" }));
  const takeDown = async (share: Share, name: string) => {
    if (!(await confirm(t("lists.share.takeDown.title"), t("lists.share.takeDown.text", { name }), t("lists.share.takeDown")))) return;
    await send("DELETE", `shares/${encodeURIComponent(share.id)}`);
    shares.set({ items: (shares.value()?.items ?? []).filter((s) => s.id !== share.id) });
    say(t("lists.share.takenDown"));
    document.getElementById("main")?.focus();
  };
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("lists.shares")}</h1>
          <p class="muted">{t("lists.shares.text")}</p>
        </div>
      </header>
      <Await value={shares.value()} error={shares.error()} retry={shares.retry}>
        {(r) => (
          <Show
            when={r().items.length > 0}
            fallback={
              <Message icon="share" title={t("lists.shares.none")}>
                <p>{t("lists.shares.none.text")}</p>
              </Message>
            }
          >
            <ul class="share-list" role="list">
              <For each={r().items.toSorted((a, b) => b.created.localeCompare(a.created))}>
                {(s) => (
                  <Row
                    share={s}
                    onEdit={() => {
                      editShare(s).then((changed) => {
                        if (changed !== undefined) shares.set({ items: (shares.value()?.items ?? []).map((o) => (o.id === changed.id ? changed : o)) });
                      }, complain);
                    }}
                    onTakeDown={(name) => {
                      takeDown(s, name).catch(complain);
                    }}
                  />
                )}
              </For>
            </ul>
          </Show>
        )}
      </Await>
    </>
  );
}

/** What a share's first entry is called, by the kind that its id tells. */
async function nameOf(id: string): Promise<string> {
  const path = encodeURIComponent(id);
  if (id.startsWith("al-")) return (await get<{ name: string }>(`albums/${path}`)).name;
  if (id.startsWith("pl-")) return (await get<{ name: string }>(`playlists/${path}`)).name;
  return (await get<{ title: string }>(`tracks/${path}`)).title;
}

function Row(props: { share: Share; onEdit: () => void; onTakeDown: (name: string) => void }): JSX.Element {
  const [first, setFirst] = createSignal("");
  const entry = () => props.share.entries[0] ?? "";
  // What is gone from the library has no name any more; the share says so by its description or its number of entries.
  nameOf(entry()).then(setFirst, () => setFirst(""));
  const more = () => props.share.entries.length - 1;
  const name = () => props.share.description ?? (first() === "" ? t("lists.share.entries", { count: props.share.entries.length }) : more() > 0 ? t("lists.share.andMore", { name: first(), count: more() }) : first());
  const ended = () => props.share.expires !== undefined && new Date(props.share.expires).getTime() < Date.now();
  return (
    <li>
      <Cover id={entry()} has={entry() !== ""} name={name()} size={64} />
      <div>
        <h2 dir="auto">{name()}</h2>
        <p>
          {t("lists.share.visits", { count: props.share.visits })}
          <Show when={props.share.lastVisited}>{(last) => <> · {t("lists.share.last", { date: day(last()) })}</>}</Show>
          <Show when={props.share.expires}>
            {(end) => (
              <>
                {" · "}
                <span classList={{ ended: ended() }}>{t(ended() ? "lists.share.ended" : "lists.share.until", { date: day(end()) })}</span>
              </>
            )}
          </Show>
        </p>
        <a class="share-url" dir="ltr" href={props.share.url} target="_blank" rel="noopener">
          {props.share.url}
        </a>
      </div>
      <div class="share-actions">
        <button
          type="button"
          class="button small"
          aria-label={t("lists.share.copyOf", { name: name() })}
          onClick={() => {
            void copyLink(props.share.url);
          }}
        >
          {t("lists.share.copy")}
        </button>
        <button type="button" class="button small" aria-label={t("lists.share.editOf", { name: name() })} onClick={() => props.onEdit()}>
          {t("lists.share.editShort")}
        </button>
        <button type="button" class="button small" aria-label={t("lists.share.takeDownOf", { name: name() })} onClick={() => props.onTakeDown(name())}>
          {t("lists.share.takeDown")}
        </button>
      </div>
    </li>
  );
}
