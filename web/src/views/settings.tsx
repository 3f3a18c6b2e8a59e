import { createEffect, createMemo, For, type JSX, Match, Show, Switch as Choose } from "solid-js";
import { send } from "../api/client";
import { can, load, scan, session } from "../api/state";
import type { Counts, LibraryItems } from "../api/wire";
import { maxCrossfadeMs, preampRange, setSound, sound } from "../player/settings";
import { prefer, preferences } from "../preferences";
import { href } from "../router";
import type { ViewProps } from "../routes";
import { chunk, Chunked } from "../ui/chunk";
import { Dial, Segmented, Switch } from "../ui/choice";
import { about, bytes, day } from "../ui/format";
import { complain, say } from "../ui/parts";
import { useTitle } from "../ui/title";
import { type Key, type LanguageTag, languages, speak, t, tag } from "../words";
import { AppKeys, Password, Sessions } from "./account";
import { ScanProgress } from "./scan";
import "./settings.css";

const people = chunk(async () => (await import("./admin")).People);

const time = chunk(async () => (await import("./clock")).Clock);

const sections: readonly { id: string; name: Key; admin?: boolean }[] = [
  { id: "", name: "house.thisDevice" },
  { id: "account", name: "house.account" },
  { id: "library", name: "house.library" },
  { id: "people", name: "house.people", admin: true },
  { id: "clock", name: "clock.title", admin: true },
];

/** Settings, in sections with an address each: /settings and /settings/account, … */
export function Settings(props: ViewProps): JSX.Element {
  useTitle(() => t("house.settings"));
  const here = createMemo(() => sections.find((s) => s.id === props.id && (!s.admin || can("admin"))) ?? sections[0]);
  let nav!: HTMLElement;
  // On a phone not all sections fit: the one that is looked at is to be seen among them.
  createEffect(() => {
    if (here() !== undefined) nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
  });
  return (
    <>
      <header class="view-head">
        <h1>{t("house.settings")}</h1>
      </header>
      <nav ref={nav} class="sections" aria-label={t("house.settings")}>
        <ul>
          <For each={sections.filter((s) => !s.admin || can("admin"))}>
            {(s) => (
              <li>
                <a href={href(s.id === "" ? "/settings" : `/settings/${s.id}`)} aria-current={here()?.id === s.id ? "page" : undefined}>
                  {t(s.name)}
                </a>
              </li>
            )}
          </For>
        </ul>
      </nav>
      <div class="panels">
        <Choose>
          <Match when={here()?.id === ""}>
            <Sound />
            <Look onHelp={props.onHelp} />
          </Match>
          <Match when={here()?.id === "account"}>
            <Account onSignOut={props.onSignOut} />
            <Password />
            <AppKeys />
            <Sessions />
          </Match>
          <Match when={here()?.id === "library"}>
            <Library />
            <Folders />
          </Match>
          <Match when={here()?.id === "people"}>
            <Chunked chunk={people} props={{}} />
          </Match>
          <Match when={here()?.id === "clock"}>
            <Chunked chunk={time} props={{}} />
          </Match>
        </Choose>
      </div>
    </>
  );
}

/** A number with its unit, as the language writes both. */
const unit = (value: number, name: string, digits = 0): string =>
  new Intl.NumberFormat(tag(), { style: "unit", unit: name, maximumFractionDigits: digits }).format(value);

function Sound(): JSX.Element {
  return (
    <section class="panel stack">
      <h2>{t("house.sound")}</h2>
      <Segmented
        label={t("house.quality")}
        value={sound.quality}
        options={[{ value: "original" as const, label: t("house.original") }, ...([320, 192, 128, 96] as const).map((n) => ({ value: n, label: n.toLocaleString(tag()) }))]}
        hint={sound.quality === "original" ? t("house.originalHint") : t("house.qualityHint", { rate: sound.quality, size: bytes((sound.quality * 1000 * 3600) / 8) })}
        onChange={(quality) => setSound({ quality })}
      />
      <Segmented
        label={t("house.loudness")}
        value={sound.gain}
        options={(["auto", "album", "track", "off"] as const).map((value) => ({ value, label: t(`house.gain.${value}`) }))}
        hint={t(`house.gainHint.${sound.gain}`)}
        onChange={(gain) => setSound({ gain })}
      />
      <Show when={sound.gain !== "off"}>
        <Dial
          label={t("house.preamp")}
          min={preampRange.min}
          max={preampRange.max}
          step={0.5}
          value={sound.preampDb}
          text={t("house.decibels", { db: new Intl.NumberFormat(tag(), { signDisplay: "exceptZero", minimumFractionDigits: 1 }).format(sound.preampDb) })}
          onInput={(preampDb) => setSound({ preampDb })}
        />
        <Switch label={t("house.protectPeaks")} hint={t("house.protectPeaksHint")} on={sound.protectPeaks} onChange={(protectPeaks) => setSound({ protectPeaks })} />
      </Show>
      <Dial
        label={t("house.crossfade")}
        min={0}
        max={maxCrossfadeMs}
        step={500}
        value={sound.crossfadeMs}
        text={sound.crossfadeMs === 0 ? t("house.crossfadeOff") : unit(sound.crossfadeMs / 1000, "second", 1)}
        hint={t("house.crossfadeHint")}
        onInput={(crossfadeMs) => setSound({ crossfadeMs })}
      />
    </section>
  );
}

function Look(props: { onHelp: () => void }): JSX.Element {
  const choose = (language: LanguageTag | "") => {
    // It is kept only once its table is here: a choice that cannot be read is none.
    speak(language).then(() => prefer({ language }), complain);
  };
  return (
    <section class="panel stack">
      <h2>{t("house.look")}</h2>
      <Segmented
        label={t("house.theme")}
        value={preferences.theme}
        options={(["system", "dark", "light"] as const).map((value) => ({ value, label: t(`house.theme.${value}`) }))}
        onChange={(theme) => prefer({ theme })}
      />
      <Segmented
        label={t("house.contrast")}
        value={preferences.contrast}
        options={(["system", "more"] as const).map((value) => ({ value, label: t(`house.contrast.${value}`) }))}
        onChange={(contrast) => prefer({ contrast })}
      />
      <label class="setting">
        <span>{t("house.language")}</span>
        <span class="choice">
          <select onChange={(e) => choose(e.currentTarget.value as LanguageTag | "")}>
            <option value="" selected={preferences.language === ""}>
              {t("house.languageOfBrowser")}
            </option>
            <For each={Object.entries(languages)}>
              {([value, language]) => (
                <option value={value} lang={value} selected={preferences.language === value}>
                  {language.name}
                </option>
              )}
            </For>
          </select>
        </span>
      </label>
      <Switch label={t("house.letters")} hint={t("house.lettersHint")} on={preferences.letters} onChange={(letters) => prefer({ letters })} />
      <div class="actions">
        <button type="button" class="button" onClick={() => props.onHelp()}>
          {t("house.shortcuts")}
        </button>
      </div>
    </section>
  );
}

function Account(props: { onSignOut: () => void }): JSX.Element {
  return (
    <section class="panel">
      <h2>{t("house.account")}</h2>
      <p>
        {t("house.signedInAs")} <strong dir="auto">{session()?.user.name}</strong>
      </p>
      <p class="hint">{new Intl.ListFormat(tag()).format((session()?.user.roles ?? []).map((role) => t(`house.role.${role}`)))}</p>
      <div class="actions">
        <button type="button" class="button" onClick={() => props.onSignOut()}>
          {t("house.signOut")}
        </button>
      </div>
      <p class="fine">tutti {session()?.server}</p>
    </section>
  );
}

function Library(): JSX.Element {
  const counts = load<Counts>(() => ({ path: "counts" }));
  const number = (n: number) => n.toLocaleString(tag());
  const look = (full: boolean) => {
    send("POST", "scan", full ? { full } : {}).then(() => say(t("house.lookingForMusic")), complain);
  };
  return (
    <section class="panel">
      <h2>{t("house.library")}</h2>
      <Show when={counts.value()} fallback={<p class="muted">{counts.error()?.message ?? t("house.counting")}</p>}>
        {(c) => (
          <dl class="figures">
            <div><dt>{t("house.tracks")}</dt><dd>{number(c().tracks)}</dd></div>
            <div><dt>{t("house.albums")}</dt><dd>{number(c().albums)}</dd></div>
            <div><dt>{t("house.artists")}</dt><dd>{number(c().artists)}</dd></div>
            <div><dt>{t("house.genres")}</dt><dd>{number(c().genres)}</dd></div>
            <div><dt>{t("house.music")}</dt><dd>{c().tracks > 0 ? about(c().durationMs) : "–"}</dd></div>
            <div><dt>{t("house.onDisk")}</dt><dd>{bytes(c().size)}</dd></div>
            <Show when={c().missing > 0}>
              <div><dt>{t("house.missing")}</dt><dd>{number(c().missing)}</dd></div>
            </Show>
            <Show when={c().lastScan}>{(when) => <div><dt>{t("house.lastScan")}</dt><dd>{day(when())}</dd></div>}</Show>
          </dl>
        )}
      </Show>
      <Show when={scan()?.scanning}>
        <ScanProgress />
      </Show>
      <Show when={scan()?.error}>{(why) => <p class="problem">{why()}</p>}</Show>
      <Show when={(scan()?.failed ?? 0) > 0}>
        <p class="muted">{t("house.unreadable", { count: scan()?.failed ?? 0 })}</p>
      </Show>
      <Show when={can("admin")}>
        <div class="actions">
          <button type="button" class="button" disabled={scan()?.scanning ?? false} onClick={() => look(false)}>
            {t("house.lookForMusic")}
          </button>
          <button type="button" class="button" disabled={scan()?.scanning ?? false} onClick={() => look(true)}>
            {t("house.readAgain")}
          </button>
        </div>
        <p class="hint">{t("house.readAgainHint")}</p>
        <div class="actions">
          <a class="button" href={href("/review")} aria-describedby="review-hint">
            {t("house.tidyUp")}
          </a>
        </div>
        <p id="review-hint" class="hint">
          {t("house.tidyUpHint")}
        </p>
      </Show>
    </section>
  );
}

function Folders(): JSX.Element {
  const libraries = load<LibraryItems>(() => ({ path: "libraries" }));
  return (
    <section class="panel">
      <h2>{t("house.musicFolders")}</h2>
      <Show when={libraries.value()} fallback={<p class="muted">{libraries.error()?.message ?? t("house.loading")}</p>}>
        {(list) => (
          <ul class="keys" aria-label={t("house.musicFolders")}>
            <For each={list().items}>
              {(library) => (
                <li>
                  <strong dir="auto">{library.name}</strong>
                </li>
              )}
            </For>
          </ul>
        )}
      </Show>
      <Show when={can("admin")}>
        <p class="hint">{t("house.musicFoldersHint")}</p>
      </Show>
    </section>
  );
}
