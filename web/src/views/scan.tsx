import { type JSX, Show } from "solid-js";
import { scan } from "../api/state";
import { t } from "../words";

/** How the scan gets on; nothing while none runs. */
export function ScanProgress(): JSX.Element {
  return (
    <Show when={scan()?.scanning ? scan() : undefined}>
      {(s) => (
        <div class="scan">
          <p>
            <span>{t("house.scanning")}</span>
            <span class="muted">{s().total > 0 ? t("house.scanned", { seen: s().seen, total: s().total }) : t("house.seen", { seen: s().seen })}</span>
          </p>
          <progress aria-label={t("house.scanLabel")} max={Math.max(1, s().total)} value={s().total > 0 ? s().seen : undefined} />
        </div>
      )}
    </Show>
  );
}
