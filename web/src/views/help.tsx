import { For, type JSX, onMount } from "solid-js";
import { preferences } from "../preferences";
import { href } from "../router";
import { shortcuts } from "../shortcuts";
import { IconButton } from "../ui/parts";
import { t } from "../words";

/** Every shortcut, in a dialog that opens as soon as it is made. */
export function Help(props: { onClose: () => void }): JSX.Element {
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => props.onClose()} onClick={(e) => e.target === dialog && dialog.close()}>
      <header>
        <h2 id="help-title">{t("house.shortcuts")}</h2>
        <IconButton icon="remove" label={t("house.close")} onClick={() => dialog.close()} />
      </header>
      <p class="hint">
        {t(preferences.letters ? "house.lettersOn" : "house.lettersOff")} <a href={href("/settings")} onClick={() => dialog.close()}>{t("house.settings")}</a>
      </p>
      <div class="help-groups">
        <For each={shortcuts}>
          {(group) => (
            <section>
              <h3>{t(group.title)}</h3>
              <dl>
                <For each={group.list}>
                  {(s) => (
                    <div>
                      <dt>
                        <For each={s.shown}>{(k) => k === "…" ? <span>…</span> : <kbd>{k === "{space}" ? t("house.spaceKey") : k}</kbd>}</For>
                      </dt>
                      <dd>{t(s.what)}</dd>
                    </div>
                  )}
                </For>
              </dl>
            </section>
          )}
        </For>
      </div>
    </dialog>
  );
}
