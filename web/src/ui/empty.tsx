import { For, type JSX, Show } from "solid-js";
import { send } from "../api/client";
import { can, scan } from "../api/state";
import { t } from "../words";
import { complain, Message } from "./parts";

/** What a view of a library without music says: what to do, or that it is being looked through. */
export function EmptyLibrary(): JSX.Element {
  return (
    <Show
      when={!scan()?.scanning}
      fallback={
        <Message icon="albums" title={t("library.looking")}>
          <p>{t("library.lookingMore")}</p>
        </Message>
      }
    >
      <Message
        icon="albums"
        title={t("library.none")}
        action={
          <Show when={can("admin")}>
            <button
              type="button"
              class="button primary"
              onClick={() => {
                send("POST", "scan", {}).catch(complain);
              }}
            >
              {t("library.lookAgain")}
            </button>
          </Show>
        }
      >
        <p>{t("library.noneMore")}</p>
        <pre>
          <code>make run MUSIC=~/Music</code>
        </pre>
      </Message>
    </Show>
  );
}

export function GridWaiting(): JSX.Element {
  return (
    <div class="grid" role="status">
      <span class="visually-hidden">{t("library.loading")}</span>
      <For each={Array.from({ length: 12 })}>{() => <div class="skeleton card" />}</For>
    </div>
  );
}
