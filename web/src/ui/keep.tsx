import { type JSX, onMount, Show } from "solid-js";
import { dropAlbum, findKept, isComplete, keepAlbum, keptAlbum } from "../offline/kept";
import { canKeep } from "../offline/worker";
import { t, tag } from "../words";
import { complain, IconButton, say } from "./parts";

/** Whether a failure is only that somebody stopped it. */
const stopped = (cause: unknown): boolean => cause instanceof DOMException && cause.name === "AbortError";

export function keep(id: string, name: string): void {
  keepAlbum(id).then(
    () => say(t("house.keptName", { name })),
    (cause: unknown) => {
      if (stopped(cause)) return;
      if (cause instanceof DOMException && cause.name === "QuotaExceededError") say(t("house.noRoom"), true);
      else complain(cause);
    },
  );
}

export function drop(id: string, name: string): void {
  dropAlbum(id).then(() => say(t("house.droppedName", { name })), complain);
}

/** Keeps an album for when there is no connection, shows how far it is, and takes it away again. */
export function KeepButton(props: { id: string; name: string }): JSX.Element {
  onMount(() => void findKept().catch(complain));
  const kept = () => keptAlbum(props.id);
  const done = () => {
    const album = kept();
    return album !== undefined && isComplete(album);
  };
  return (
    <Show when={canKeep}>
      <Show
        when={kept()?.progress !== undefined ? kept() : undefined}
        fallback={
          <IconButton
            class="keep"
            icon={done() ? "kept" : "offline"}
            pressed={done()}
            label={t("house.keepName", { name: props.name })}
            onClick={() => (done() ? drop(props.id, props.name) : keep(props.id, props.name))}
          />
        }
      >
        {(album) => (
          <button
            type="button"
            class="icon-button keep"
            aria-label={t("house.stopKeeping", { name: props.name, part: (album().progress ?? 0).toLocaleString(tag(), { style: "percent" }) })}
            title={t("house.stop")}
            onClick={() => drop(props.id, props.name)}
          >
            <svg class="ring" viewBox="0 0 24 24" aria-hidden="true">
              <circle cx="12" cy="12" r="9.5" />
              <circle class="done" cx="12" cy="12" r="9.5" pathLength="100" style={{ "stroke-dasharray": `${(album().progress ?? 0) * 100} 100` }} />
            </svg>
          </button>
        )}
      </Show>
    </Show>
  );
}
