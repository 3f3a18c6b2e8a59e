import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { base } from "../api/client";
import { can, load } from "../api/state";
import type { Figure, Footprint, Job, JobsReply, Lever, Period } from "../api/wire";
import { Segmented } from "../ui/choice";
import { Icon } from "../ui/icons";
import { Await } from "../ui/parts";
import { useTitle } from "../ui/title";
import { type Key, t, tag, teach } from "../words";
import english from "../words/en/carbon.json";
import "./carbon.css";

teach(english);

/** Three digits: more than any of these is good for. */
const digits = (n: number): string => n.toLocaleString(tag(), { maximumSignificantDigits: 3 });

/** An amount in the unit that leaves few digits before the point. */
function scaled(n: number, small: Key, unit: Key, large: Key): string {
  if (Math.abs(n) >= 1000) return t(large, { n: digits(n / 1000) });
  if (Math.abs(n) >= 1 || n === 0) return t(unit, { n: digits(n) });
  const least = 1e-5; // nobody is helped by more noughts
  return Math.abs(n) < least ? `< ${t(small, { n: digits(least * 1000) })}` : t(small, { n: digits(n * 1000) });
}

const grams = (g: number): string => scaled(g, "carbon.mg", "carbon.g", "carbon.kg");
const energy = (kwh: number): string => scaled(kwh * 1000, "carbon.mwh", "carbon.wh", "carbon.kwh");
const hours = (h: number): string => (h >= 1 || h === 0 ? t("carbon.h", { n: digits(h) }) : t("carbon.min", { n: digits(h * 60) }));
const percent = (part: number): string => part.toLocaleString(tag(), { style: "percent", maximumFractionDigits: part < 0.1 ? 1 : 0 });

/** The only way in which this view shows a number: with how it came to be. */
function Amount(props: { of: Figure; show: (value: number) => string }): JSX.Element {
  return (
    <span class="amount" data-label={props.of.label}>
      <b>{props.show(props.of.value)}</b> <small title={t(`carbon.label.${props.of.label}.text`)}>{t(`carbon.label.${props.of.label}`)}</small>
    </span>
  );
}

const measured = (value: number): Figure => ({ value, label: "measured" });

/** What listening costs the planet: today, in a year, for who looks, and what would change it most. */
export function Carbon(): JSX.Element {
  useTitle(() => t("carbon.title"));
  const footprint = load<Footprint>(() => ({ path: "carbon" }));
  const [when, setWhen] = createSignal<"today" | "year">("year");
  return (
    <>
      <header class="view-head">
        <div>
          <h1>{t("carbon.title")}</h1>
          <p class="muted">{t("carbon.text")}</p>
        </div>
        <Segmented
          label={t("carbon.when")}
          value={when()}
          options={[
            { value: "today", label: t("carbon.today") },
            { value: "year", label: t("carbon.year") },
          ]}
          onChange={setWhen}
        />
      </header>
      <Await value={footprint.value()} error={footprint.error()} retry={footprint.retry}>
        {(f) => (
          <div class="carbon">
            <Score of={f()[when()]} />
            <Sums of={f()[when()]} />
            <Levers of={f().levers} />
            <Uses of={f()[when()]} />
            <Show when={can("admin")}>
              <Waited />
            </Show>
            <How of={f()} />
          </div>
        )}
      </Await>
    </>
  );
}

const parts = ["operational", "idle", "embodied"] as const;

/** The score, and what it is made of. */
function Score(props: { of: Period }): JSX.Element {
  return (
    <section class="panel score" aria-labelledby="carbon-score">
      <h2 id="carbon-score">{t("carbon.score")}</h2>
      <Show when={props.of.score} fallback={<p class="muted">{t("carbon.noScore")}</p>}>
        {(score) => (
          <>
            <p class="total">
              <Amount of={score().total} show={grams} />
            </p>
            <p class="fine-print">{t("carbon.score.text")}</p>
            <div class="stack-bar" aria-hidden="true">
              <For each={parts}>{(part) => <i class={part} style={{ "flex-grow": score()[part].value }} />}</For>
            </div>
            <ul class="legend" role="list">
              <For each={parts}>
                {(part) => (
                  <li>
                    <i class={part} aria-hidden="true" />
                    <span>{t(`carbon.part.${part}`)}</span>
                    <Amount of={score()[part]} show={grams} />
                  </li>
                )}
              </For>
            </ul>
          </>
        )}
      </Show>
    </section>
  );
}

function Sums(props: { of: Period }): JSX.Element {
  const rows = (): [Key, Figure | undefined, (value: number) => string][] => [
    ["carbon.sent", props.of.streamHours, hours],
    ["carbon.energy", props.of.kwh, energy],
    ["carbon.emissions", props.of.total, grams],
    ["carbon.mine", props.of.myGrams, grams],
    ["carbon.perListener", props.of.perListener, grams],
    ["carbon.network", props.of.network, grams],
    ["carbon.comparison", props.of.comparison, grams],
  ];
  return (
    <section class="panel">
      <h2>{t("carbon.sums")}</h2>
      <dl class="sums">
        <For each={rows()}>
          {([name, figure, show]) => (
            <Show when={figure}>
              {(v) => (
                <div>
                  <dt>{t(name)}</dt>
                  <dd>
                    <Amount of={v()} show={show} />
                  </dd>
                </div>
              )}
            </Show>
          )}
        </For>
      </dl>
    </section>
  );
}

/** Now and then of each lever are amounts of another kind. */
const leverUnits: Record<Lever["name"], (value: number) => string> = {
  "idle-watts": (v) => t("carbon.w", { n: digits(v) }),
  hours: (v) => t("carbon.hoursADay", { n: digits(v) }),
  "mobile-codec": (v) => t("carbon.kbps", { n: digits(v) }),
  "longer-life": (v) => t("carbon.years", { n: digits(v) }),
};

/** An hour of the day in UTC, as the reader's clock has it today. */
function clockHour(utc: number): string {
  const at = new Date();
  at.setUTCHours(utc, 0, 0, 0);
  return at.toLocaleTimeString(tag(), { hour: "numeric", minute: "2-digit" });
}

function leverText(lever: Lever): string {
  if (lever.name !== "hours") return t(`carbon.lever.${lever.name}.text`);
  if (lever.then.value === 0) return t("carbon.lever.hours.never");
  const from = lever.from ?? 0;
  return t("carbon.lever.hours.text", { from: clockHour(from), until: clockHour(from + 24 - lever.then.value) });
}

function Levers(props: { of: readonly Lever[] }): JSX.Element {
  return (
    <section class="panel wide levers">
      <h2>{t("carbon.levers")}</h2>
      <Show when={props.of.length > 0} fallback={<p class="muted">{t("carbon.levers.none")}</p>}>
        <ol role="list">
          <For each={props.of}>
            {(lever) => (
              <li>
                <h3>{t(`carbon.lever.${lever.name}`)}</h3>
                <p class="saves">
                  <Amount of={lever.saves} show={grams} /> {t("carbon.saves")}
                </p>
                <p class="change">
                  <Amount of={lever.now} show={leverUnits[lever.name]} />
                  <span>
                    <Icon name="forward" /> <Amount of={lever.then} show={leverUnits[lever.name]} />
                  </span>
                </p>
                <p class="muted" data-label={lever.name === "hours" ? lever.now.label : undefined}>
                  {leverText(lever)}
                </p>
                <p class="share">
                  <Amount of={lever.part} show={percent} /> {t("carbon.ofAll")}
                </p>
              </li>
            )}
          </For>
        </ol>
      </Show>
    </section>
  );
}

function Uses(props: { of: Period }): JSX.Element {
  const most = createMemo(() => Math.max(0, ...props.of.parts.map((p) => p.kwh.value)));
  return (
    <section class="panel wide">
      <h2>{t("carbon.uses")}</h2>
      <p class="muted">
        {t("carbon.uses.known")} <Amount of={measured(props.of.coveredHours)} show={hours} />, {t("carbon.uses.measured")}{" "}
        <Amount of={measured(props.of.measuredPart)} show={percent} />
      </p>
      <ul class="uses" role="list">
        <For each={props.of.parts.toSorted((a, b) => b.kwh.value - a.kwh.value)}>
          {(part) => (
            <li classList={{ apart: part.component === "other" }}>
              <span>{t(`carbon.use.${part.component}`)}</span>
              <i aria-hidden="true">
                <i style={{ "inline-size": `${String((part.kwh.value / most()) * 100)}%` }} />
              </i>
              <Amount of={part.kwh} show={energy} />
              <Amount of={part.grams} show={grams} />
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

/** How many jobs are listed: the latest. */
const listed = 5;

/** What was moved to cleaner hours, with why, in the scheduler's own words. */
function Waited(): JSX.Element {
  const jobs = load<JobsReply>(() => ({ path: "jobs" }));
  const moved = (): Job[] => [...(jobs.value()?.jobs ?? []), ...(jobs.value()?.history ?? [])].filter((j) => (j.savedGrams ?? 0) !== 0).slice(0, listed);
  return (
    <Show when={moved().length > 0}>
      <section class="panel wide">
        <h2>{t("carbon.waited")}</h2>
        <ul class="waited" role="list">
          <For each={moved()}>
            {(job) => (
              <li data-label="modelled">
                <span lang="en" dir="auto">
                  {job.why}
                </span>{" "}
                <Amount of={{ value: job.savedGrams ?? 0, label: "modelled" }} show={grams} /> {t("carbon.waited.saved")}
              </li>
            )}
          </For>
        </ul>
      </section>
    </Show>
  );
}

function How(props: { of: Footprint }): JSX.Element {
  const Source = (p: { name: Key; label: Figure["label"]; children: JSX.Element }) => (
    <div data-label={p.label}>
      <dt>
        {t(p.name)} <small title={t(`carbon.label.${p.label}.text`)}>{t(`carbon.label.${p.label}`)}</small>
      </dt>
      <dd>{p.children}</dd>
    </div>
  );
  const grid = () => props.of.intensity;
  return (
    <section class="panel wide how">
      <h2>{t("carbon.how")}</h2>
      <dl>
        <Source name="carbon.how.energy" label={props.of.energy.label}>
          {t(`carbon.how.${props.of.meter}`)} {t("carbon.how.share")}
        </Source>
        <Source name="carbon.how.grid" label={grid().gramsPerKwh.label}>
          <Amount of={grid().gramsPerKwh} show={(n) => t("carbon.gkwh", { n: digits(n) })} />{" "}
          {grid().source === "constant" ? t("carbon.how.constant") : t("carbon.how.feed", { source: grid().source })} {grid().stale ? t("carbon.how.stale") : ""}
        </Source>
        <Source name="carbon.how.making" label={props.of.embodied.label}>
          {t(props.of.embodied.label === "modelled" ? "carbon.how.estimate" : "carbon.how.told")}
        </Source>
        <Source name="carbon.how.network" label={props.of.network.label}>
          {t("carbon.how.network.text")}
        </Source>
        <Source name="carbon.how.web" label="modelled">
          {t("carbon.how.web.text")}
        </Source>
      </dl>
      <dl class="labels">
        <For each={["measured", "modelled", "assumed"] as const}>
          {(label) => (
            <div data-label={label}>
              <dt>
                <small>{t(`carbon.label.${label}`)}</small>
              </dt>
              <dd>{t(`carbon.label.${label}.text`)}</dd>
            </div>
          )}
        </For>
      </dl>
      <Show when={props.of.members > 1}>
        <p class="muted" data-label="measured">
          {t("carbon.members", { count: props.of.members })}
        </p>
      </Show>
      <Show when={props.of.year.score}>
        <a class="button" href={`${base}/api/v1/carbon/manifest`} download="tutti-sci.yml">
          <Icon name="download" />
          {t("carbon.manifest")}
        </a>
      </Show>
    </section>
  );
}
