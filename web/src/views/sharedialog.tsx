import { createSignal, createUniqueId, For, type JSX, onMount, Show } from "solid-js";
import { send } from "../api/client";
import type { Share } from "../api/wire";
import { Form, openDialog } from "../ui/dialog";
import { complain, say } from "../ui/parts";
import { t, tag } from "../words";
import { dayMs, endOf, fieldDate, type Life, lives } from "./shareend";
import "./shares.css";

/** Shares tracks, albums or playlists by their ids: makes a public page, and gives its address away. name: what it is of. */
export async function openShare(ids: readonly string[], name = ""): Promise<void> {
  let made: Share | undefined;
  const fields = shareFields("", undefined);
  const share = await openDialog<Share>(name === "" ? t("lists.playlists.share") : t("lists.share.title", { name }), (close) => (
    <Form
      action={t("lists.share.make")}
      submit={async () => {
        made = await send<Share>("POST", "shares", { entries: ids, ...fields.value() });
      }}
      close={() => close(made)}
    >
      <p class="muted">{t("lists.share.what")}</p>
      <fields.View />
    </Form>
  ));
  if (share !== undefined) await showLink(share, name);
}

/** Changes what a page says and when it ends. */
export async function editShare(share: Share): Promise<Share | undefined> {
  let changed: Share | undefined;
  const fields = shareFields(share.description ?? "", share.expires);
  return openDialog<Share>(t("lists.share.edit"), (close) => (
    <Form
      action={t("lists.save")}
      submit={async () => {
        changed = await send<Share>("PUT", `shares/${encodeURIComponent(share.id)}`, fields.value());
      }}
      close={() => close(changed)}
    >
      <fields.View />
    </Form>
  ));
}

function shareFields(was: string, end: string | undefined): { value: () => { description: string; expires?: string }; View: () => JSX.Element } {
  const [description, setDescription] = createSignal(was);
  const [life, setLife] = createSignal<Life>(end === undefined ? "never" : "date");
  const [date, setDate] = createSignal(fieldDate(end === undefined ? new Date(Date.now() + 7 * dayMs) : new Date(end)));
  return {
    value: () => {
      const expires = endOf(life(), date(), Date.now());
      return { description: description().trim(), ...(expires === undefined ? {} : { expires }) };
    },
    View: () => (
      <>
        <label class="field">
          {t("lists.share.description")}
          <textarea rows="2" maxlength="500" dir="auto" placeholder={t("lists.share.description.hint")} value={description()} onInput={(e) => setDescription(e.currentTarget.value)} />
        </label>
        <label class="field">
          {t("lists.share.life")}
          <select onChange={(e) => setLife(lives.find((l) => l === e.currentTarget.value) ?? "never")}>
            <For each={lives}>{(l) => <option value={l} selected={l === life()}>{t(`lists.share.life.${l}`)}</option>}</For>
          </select>
        </label>
        <Show when={life() === "date"}>
          <label class="field">
            {t("lists.share.date")}
            <input type="date" required min={fieldDate(new Date())} value={date()} onInput={(e) => setDate(e.currentTarget.value)} />
          </label>
        </Show>
      </>
    ),
  };
}

/** Puts an address on the clipboard. Where the browser has none to give (no TLS), the address can still be selected. */
export async function copyLink(url: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(url);
    say(t("lists.share.copied"));
  } catch {
    say(t("lists.share.notCopied"), true);
  }
}

function showLink(share: Share, name: string): Promise<undefined> {
  const id = createUniqueId();
  return openDialog<undefined>(t("lists.share.made"), (close) => {
    let field!: HTMLInputElement;
    onMount(() => field.select());
    const sharing = { title: share.description ?? name, url: share.url };
    return (
      <div class="stack">
        <label for={id}>{t("lists.share.made.text")}</label>
        <div class="made-link">
          <input id={id} ref={field} readonly dir="ltr" value={share.url} onFocus={(e) => e.currentTarget.select()} />
          <button
            type="button"
            class="button primary"
            onClick={() => {
              field.select();
              void copyLink(share.url);
            }}
          >
            {t("lists.share.copy")}
          </button>
        </div>
        <Show when={share.expires}>{(end) => <p class="muted">{t("lists.share.until", { date: new Date(end()).toLocaleDateString(tag(), { dateStyle: "long" }) })}</p>}</Show>
        <div class="sheet-end">
          {/* A phone has apps to hand the address to. */}
          <Show when={"canShare" in navigator && navigator.canShare(sharing)}>
            <button
              type="button"
              class="button"
              onClick={() => {
                navigator.share(sharing).catch((cause: unknown) => {
                  if (!(cause instanceof DOMException && cause.name === "AbortError")) complain(cause);
                });
              }}
            >
              {t("lists.share.send")}
            </button>
          </Show>
          <a class="button" href={share.url} target="_blank" rel="noopener">
            {t("lists.share.open")}
          </a>
          <button type="button" class="button" onClick={() => close()}>
            {t("lists.close")}
          </button>
        </div>
      </div>
    );
  });
}
