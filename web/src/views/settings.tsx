import { type JSX, Show } from "solid-js";
import { send } from "../api/client";
import { can, load, scan, session } from "../api/state";
import type { Counts } from "../api/wire";
import { about, bytes, count } from "../ui/format";
import { complain, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { AppKeys, Password } from "./account";
import { ScanProgress } from "./scan";

export function Settings(props: { onSignOut: () => void; onHelp: () => void }): JSX.Element {
  useTitle(() => "Settings");
  const counts = load<Counts>(() => ({ path: "counts" }));
  return (
    <>
      <header class="view-head">
        <h1>Settings</h1>
      </header>
      <div class="panels">
        <section class="panel">
          <h2>Library</h2>
          <Show when={counts.value()} fallback={<p class="muted">{counts.error()?.message ?? "Counting…"}</p>}>
            {(c) => (
              <dl class="figures">
                <div><dt>Tracks</dt><dd>{c().tracks.toLocaleString()}</dd></div>
                <div><dt>Albums</dt><dd>{c().albums.toLocaleString()}</dd></div>
                <div><dt>Artists</dt><dd>{c().artists.toLocaleString()}</dd></div>
                <div><dt>Music</dt><dd>{c().tracks > 0 ? about(c().durationMs) : "none"}</dd></div>
                <div><dt>On disk</dt><dd>{bytes(c().size)}</dd></div>
                <Show when={c().missing > 0}>
                  <div><dt>Missing</dt><dd>{count(c().missing, "track")}</dd></div>
                </Show>
              </dl>
            )}
          </Show>
          <Show when={scan()?.scanning}>
            <ScanProgress />
          </Show>
          <Show when={(scan()?.failed ?? 0) > 0}>
            <p class="muted">{count(scan()?.failed ?? 0, "file")} could not be read; the server's log names them.</p>
          </Show>
          <Show when={can("admin")}>
            <button
              type="button"
              class="button"
              disabled={scan()?.scanning ?? false}
              onClick={() => {
                send("POST", "scan", {}).then(() => say("Looking for new music"), complain);
              }}
            >
              Look for new music
            </button>
          </Show>
        </section>
        <section class="panel">
          <h2>Account</h2>
          <p>
            Signed in as <strong>{session()?.user.name}</strong>
          </p>
          <div class="actions">
            <button type="button" class="button" onClick={() => props.onSignOut()}>
              Sign out
            </button>
            <button type="button" class="button" onClick={() => props.onHelp()}>
              Keyboard shortcuts
            </button>
          </div>
          <p class="fine">tutti {session()?.server}</p>
        </section>
        <Password />
        <AppKeys />
      </div>
    </>
  );
}
