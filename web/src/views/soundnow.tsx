import { createSignal, createUniqueId, For, type JSX, onCleanup, Show } from "solid-js";
import { type Player, speedRange } from "../player/player";
import { maxCrossfadeMs, setSound, sound } from "../player/settings";
import { openDialog } from "../ui/dialog";
import { Slider } from "../ui/parts";
import { t, tag } from "../words";
import "./playing.css";

const speeds = [0.75, 1, 1.25, 1.5, 2] as const;
const minutes = [15, 30, 45, 60, 90] as const;

/** What one changes while listening: speed, sleep timer and crossfade. */
export const openSoundNow = (player: Player): Promise<undefined> => openDialog<undefined>(t("lists.now.title"), () => <SoundNow player={player} />);

function SoundNow(props: { player: Player }): JSX.Element {
  const { state } = props.player;
  const speedId = createUniqueId();
  const sleepId = createUniqueId();
  const times = (x: number) => t("lists.now.times", { speed: x.toLocaleString(tag(), { maximumFractionDigits: 2 }) });
  const seconds = (ms: number) => (ms === 0 ? t("lists.now.off") : t("lists.now.seconds", { seconds: (ms / 1000).toLocaleString(tag(), { maximumFractionDigits: 1 }) }));
  const sleepsIn = () => (typeof state.sleep === "object" ? state.sleep.atMs : undefined);
  const chosen = (s: typeof state.sleep) => (typeof s === "string" ? s : undefined);
  return (
    <div class="sound-now">
      <Show when={state.station === undefined}>
        <div>
          <div class="row">
            <h3 id={speedId}>{t("lists.now.speed")}</h3>
            <span>{times(state.speed)}</span>
            <Slider label={t("lists.now.speed")} value={state.speed - speedRange.min} max={speedRange.max - speedRange.min} step={0.05} text={times(state.speed)} onInput={(v) => props.player.setSpeed(Math.round((v + speedRange.min) * 100) / 100)} />
          </div>
          <div class="chips" role="group" aria-labelledby={speedId}>
            <For each={speeds}>{(x) => <button type="button" aria-pressed={state.speed === x} onClick={() => props.player.setSpeed(x)}>{times(x)}</button>}</For>
          </div>
        </div>
      </Show>
      <div>
        <div class="row">
          <h3 id={sleepId}>{t("lists.sleep")}</h3>
          <Show when={sleepsIn()} fallback={<span />}>
            {(at) => <Left at={at()} />}
          </Show>
        </div>
        <div class="chips" role="group" aria-labelledby={sleepId}>
          <button type="button" aria-pressed={state.sleep === undefined} onClick={() => props.player.sleepAfter(undefined)}>
            {t("lists.now.off")}
          </button>
          <For each={minutes}>
            {(m) => (
              <button type="button" aria-pressed="false" onClick={() => props.player.sleepAfter(m)}>
                {t("lists.sleep.minutes", { count: m })}
              </button>
            )}
          </For>
          <Show when={state.station === undefined}>
            <button type="button" aria-pressed={chosen(state.sleep) === "track"} onClick={() => props.player.sleepAfter("track")}>
              {t("lists.sleep.track")}
            </button>
            <button type="button" aria-pressed={chosen(state.sleep) === "queue"} onClick={() => props.player.sleepAfter("queue")}>
              {t("lists.sleep.queue")}
            </button>
          </Show>
        </div>
      </div>
      <Show when={state.station === undefined}>
        <div class="row">
          <h3>{t("lists.now.crossfade")}</h3>
          <span>{seconds(sound.crossfadeMs)}</span>
          <Slider label={t("lists.now.crossfade")} value={sound.crossfadeMs} max={maxCrossfadeMs} step={500} text={seconds(sound.crossfadeMs)} onInput={(ms) => setSound({ crossfadeMs: ms })} />
          <p class="hint">{t("lists.now.crossfade.hint")}</p>
        </div>
      </Show>
    </div>
  );
}

/** How long until the music sleeps, while somebody looks. */
function Left(props: { at: number }): JSX.Element {
  const left = () => Math.max(0, Math.ceil((props.at - Date.now()) / 60_000));
  const [shown, setShown] = createSignal(left());
  const timer = setInterval(() => setShown(left()), 10_000);
  onCleanup(() => clearInterval(timer));
  return <span>{t("lists.sleep.left", { count: shown() })}</span>;
}
