import { createMemo, createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import { get } from "../api/client";
import type { ClockReport, ClockSample } from "../api/wire";
import { Await } from "../ui/parts";
import { t, tag } from "../words";
import "./clock.css";

/** How often it is asked again while it is looked at, in ms: sources are asked every few seconds at most. */
const every = 5_000;

const size = { width: 640, height: 140 } as const;

/** A length of time in µs, in the unit that suits it. */
function span(us: number): string {
  const [unit, by] = Math.abs(us) < 1_000 ? (["microsecond", 1] as const) : Math.abs(us) < 1_000_000 ? (["millisecond", 1_000] as const) : (["second", 1_000_000] as const);
  return new Intl.NumberFormat(tag(), { style: "unit", unit, maximumFractionDigits: Math.abs(us / by) < 10 ? 1 : 0 }).format(us / by);
}

const moment = (at: string): string => new Intl.DateTimeFormat(tag(), { dateStyle: "short", timeStyle: "medium" }).format(new Date(at));

/** The server's clock, for who administers it: how exact it is, what it has shown, and whom it follows. */
export function Clock(): JSX.Element {
  const [report, setReport] = createSignal<ClockReport>();
  const [error, setError] = createSignal<Error>();
  const read = () => {
    if (document.hidden) return;
    get<ClockReport>("clock").then(
      (r) => {
        setError(undefined);
        setReport(r);
      },
      (cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))),
    );
  };
  read();
  const timer = setInterval(read, every);
  document.addEventListener("visibilitychange", read);
  onCleanup(() => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", read);
  });
  return (
    <section class="panel wide">
      <h2>{t("clock.title")}</h2>
      <p class="hint">{t("clock.about")}</p>
      <Await value={report()} error={error()} retry={read}>
        {(r) => (
          <>
            <dl class="clock-now">
              <div>
                <dt>{t("clock.state")}</dt>
                <dd>{t(`clock.state.${r().state as "holdover"}`)}</dd>
              </div>
              <div>
                <dt>{t("clock.bound")}</dt>
                <dd>{r().boundUs === undefined ? t("clock.unknown") : `± ${span(r().boundUs ?? 0)}`}</dd>
              </div>
              <div>
                <dt>{t("clock.offset")}</dt>
                <dd>{span(r().offsetUs)}</dd>
              </div>
            </dl>
            <Show when={r().reason}>{(why) => <p class="problem">{why()}</p>}</Show>
            <Past samples={r().history} />
            <h3>{t("clock.sources")}</h3>
            <div class="clock-sources" role="region" aria-label={t("clock.sources")} tabindex="0">
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t("clock.source")}</th>
                    <th scope="col">{t("clock.offset.source")}</th>
                    <th scope="col">{t("clock.bound")}</th>
                    <th scope="col">{t("clock.delay")}</th>
                    <th scope="col">{t("clock.verdict")}</th>
                  </tr>
                </thead>
                <tbody>
                  <For each={r().sources}>
                    {(s) => (
                      <tr>
                        <th scope="row">
                          <bdi>{s.name}</bdi>
                        </th>
                        <td>{s.good > 0 ? span(s.offsetUs) : "–"}</td>
                        <td>{s.boundUs === undefined ? "–" : `± ${span(s.boundUs)}`}</td>
                        <td>{s.good > 0 ? span(s.delayUs) : "–"}</td>
                        <td>{s.selected === true ? t("clock.followed") : <bdi>{s.rejected ?? t("clock.unheard")}</bdi>}</td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            </div>
          </>
        )}
      </Await>
    </section>
  );
}

/** What the machine's own clock was behind by, within what is certain, since the start. */
function Past(props: { samples: readonly ClockSample[] }): JSX.Element {
  const known = createMemo(() => props.samples.flatMap((s) => (s.boundUs === undefined ? [] : [{ at: Date.parse(s.at), us: s.offsetUs, bound: s.boundUs }])));
  const frame = createMemo(() => {
    const all = known();
    // What is shown is nearly everything: the first minutes' bounds are far wider than those of the rest.
    const bounds = all.map((s) => s.bound).sort((a, b) => a - b);
    const usual = bounds[Math.floor(bounds.length * 0.9)] ?? 0;
    const low = Math.min(...all.map((s) => s.us)) - usual;
    const high = Math.max(...all.map((s) => s.us)) + usual;
    const [from, to] = [all[0]?.at ?? 0, all.at(-1)?.at ?? 0];
    const y = (us: number) => size.height - 4 - ((Math.min(high, Math.max(low, us)) - low) / Math.max(1e-3, high - low)) * (size.height - 8);
    const x = (at: number) => ((at - from) / Math.max(1, to - from)) * size.width;
    return { low, high, x, y };
  });
  const line = (of: (s: { us: number; bound: number }) => number) => known().map((s) => `${frame().x(s.at).toFixed(1)} ${frame().y(of(s)).toFixed(1)}`);
  const band = () => `M${[...line((s) => s.us + s.bound), ...line((s) => s.us - s.bound).reverse()].join("L")}Z`;
  return (
    <Show when={known().length > 1}>
      <figure class="clock-past">
        <svg viewBox={`0 0 ${size.width} ${size.height}`} preserveAspectRatio="none" role="img" aria-label={t("clock.plot", { low: span(frame().low), high: span(frame().high) })}>
          <path class="bound" d={band()} />
          <path class="offset" d={`M${line((s) => s.us).join("L")}`} />
        </svg>
        <span class="high">{span(frame().high)}</span>
        <span class="low">{span(frame().low)}</span>
        <figcaption>
          <span>{moment(props.samples[0]?.at ?? "")}</span>
          <span>{moment(props.samples.at(-1)?.at ?? "")}</span>
        </figcaption>
      </figure>
    </Show>
  );
}
