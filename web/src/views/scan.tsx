import { type JSX, Show } from "solid-js";
import { scan } from "../api/state";

/** How the scan gets on; nothing while none runs. */
export function ScanProgress(): JSX.Element {
  return (
    <Show when={scan()?.scanning ? scan() : undefined}>
      {(s) => (
        <div class="scan">
          <p>
            <span>Scanning</span>
            <span class="muted">
              {s().seen.toLocaleString()}
              <Show when={s().total > 0}> of {s().total.toLocaleString()}</Show>
            </span>
          </p>
          <progress aria-label="Scan of the library" max={Math.max(1, s().total)} value={s().total > 0 ? s().seen : undefined} />
        </div>
      )}
    </Show>
  );
}
