import { createSignal, For, type JSX, Show } from "solid-js";
import { send } from "../api/client";
import { can, load } from "../api/state";
import type { Station, StationItems } from "../api/wire";
import { usePlayer } from "../player/context";
import { confirm, Form, openDialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Bars } from "../ui/music";
import { Await, complain, Cover, IconButton, Message, say } from "../ui/parts";
import { createStationTitle } from "../ui/station";
import { useTitle } from "../ui/title";
import { t, tag } from "../words";
import "./radio.css";

export function Radio(): JSX.Element {
  useTitle(() => t("lists.radio"));
  const player = usePlayer();
  const stations = load<StationItems>(() => ({ path: "stations" }));
  const title = createStationTitle(() => player.state.station);
  const list = () => {
    const names = new Intl.Collator(tag(), { numeric: true, sensitivity: "base" });
    return (stations.value()?.items ?? []).toSorted((a, b) => names.compare(a.name, b.name));
  };
  const edit = (station?: Station) => {
    editStation(station).then((saved) => saved && stations.set({ items: [...(stations.value()?.items ?? []).filter((s) => s.id !== saved.id), saved] }), complain);
  };
  const remove = async (station: Station) => {
    if (!(await confirm(t("lists.radio.remove.title"), t("lists.radio.remove.text", { name: station.name }), t("lists.radio.remove")))) return;
    await send("DELETE", `stations/${encodeURIComponent(station.id)}`);
    stations.set({ items: (stations.value()?.items ?? []).filter((s) => s.id !== station.id) });
    say(t("lists.radio.removed", { name: station.name }));
    document.getElementById("main")?.focus();
  };
  const add = () => (
    <Show when={can("admin")}>
      <button type="button" class="button primary" onClick={() => edit()}>
        <Icon name="add" /> {t("lists.radio.add")}
      </button>
    </Show>
  );

  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("lists.radio")}</h1>
          <p class="muted">{list().length > 0 ? t("lists.radio.count", { count: list().length }) : " "}</p>
        </div>
        <Show when={list().length > 0}>{add()}</Show>
      </header>
      <Await value={stations.value()} error={stations.error()} retry={stations.retry}>
        {() => (
          <Show
            when={list().length > 0}
            fallback={
              <Message icon="radio" title={t("lists.radio.none")} action={add()}>
                <p>{t(can("admin") ? "lists.radio.none.admin" : "lists.radio.none.text")}</p>
              </Message>
            }
          >
            <ul class="stations" role="list" aria-label={t("lists.radio")}>
              <For each={list()}>
                {(s) => {
                  const current = () => player.state.station?.id === s.id;
                  return (
                    <li class="station" classList={{ current: current() }}>
                      <Cover id={s.id} has={false} name={s.name} size={72} />
                      <div>
                        <button
                          type="button"
                          class="station-play"
                          dir="auto"
                          aria-label={t(current() && player.state.playing ? "lists.radio.pause" : "lists.playNamed", { name: s.name })}
                          aria-current={current() ? "true" : undefined}
                          onClick={() => (current() ? player.toggle() : player.playStation(s))}
                        >
                          <Show when={current()}>
                            <Bars still={!player.state.playing} />
                          </Show>
                          {s.name}
                        </button>
                        <Show when={current() && title() !== ""}>
                          <p dir="auto">{title()}</p>
                        </Show>
                        <Show when={s.homeUrl}>
                          {(url) => (
                            <p>
                              <a href={url()} target="_blank" rel="noopener noreferrer">
                                {new URL(url()).hostname.replace(/^www\./, "")}
                              </a>
                            </p>
                          )}
                        </Show>
                      </div>
                      <Show when={can("admin")}>
                        <div class="station-actions">
                          <IconButton icon="edit" label={t("lists.radio.editOf", { name: s.name })} onClick={() => edit(s)} />
                          <IconButton
                            icon="remove"
                            label={t("lists.radio.removeOf", { name: s.name })}
                            onClick={() => {
                              remove(s).catch(complain);
                            }}
                          />
                        </div>
                      </Show>
                    </li>
                  );
                }}
              </For>
            </ul>
          </Show>
        )}
      </Await>
    </>
  );
}

function editStation(station?: Station): Promise<Station | undefined> {
  const [name, setName] = createSignal(station?.name ?? "");
  const [stream, setStream] = createSignal(station?.streamUrl ?? "");
  const [home, setHome] = createSignal(station?.homeUrl ?? "");
  let saved: Station | undefined;
  return openDialog<Station>(t(station === undefined ? "lists.radio.add" : "lists.radio.edit"), (close) => (
    <Form
      action={t("lists.save")}
      submit={async () => {
        const body = { name: name().trim(), streamUrl: stream().trim(), homeUrl: home().trim() || undefined };
        saved = station === undefined ? await send<Station>("POST", "stations", body) : await send<Station>("PUT", `stations/${encodeURIComponent(station.id)}`, body);
      }}
      close={() => close(saved)}
    >
      <label class="field">
        {t("lists.radio.name")}
        <input required maxlength="200" dir="auto" autocomplete="off" value={name()} onInput={(e) => setName(e.currentTarget.value)} />
      </label>
      <label class="field">
        {t("lists.radio.stream")}
        <input required type="url" dir="ltr" placeholder="https://" autocomplete="off" value={stream()} onInput={(e) => setStream(e.currentTarget.value)} />
      </label>
      <label class="field">
        {t("lists.radio.home")}
        <input type="url" dir="ltr" placeholder="https://" autocomplete="off" value={home()} onInput={(e) => setHome(e.currentTarget.value)} />
      </label>
    </Form>
  ));
}
