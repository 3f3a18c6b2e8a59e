import { createEffect, createMemo, createSignal, type JSX, on, onCleanup, onMount, Show } from "solid-js";
import { ApiError, get } from "../api/client";
import type { Peaks } from "../api/wire";
import { clock } from "./format";
import { barsOf, pathOf } from "./outline";
import { Slider } from "./parts";
import "./waveform.css";

/** As many points as the widest outline has bars. */
const points = 800;
/** From one bar to the next, in pixels. */
const step = 4;
const stroke = 2.5;
const height = 64;

/** Outlines that were fetched, by track; the oldest goes first. */
const kept = new Map<string, readonly number[]>();
const keptMost = 50;

/** The outline of a track; undefined while the server makes it, and where it cannot. */
export function createOutline(track: () => string | undefined): () => readonly number[] | undefined {
  const [outline, setOutline] = createSignal<readonly number[]>();
  createEffect(
    on(track, (id) => {
      const known = id === undefined ? undefined : kept.get(id);
      setOutline(known);
      if (id === undefined || known !== undefined) return;
      const abort = new AbortController();
      let again: ReturnType<typeof setTimeout> | undefined;
      const ask = () => {
        again = undefined;
        if (document.hidden) return; // asked when the page is seen
        get<Peaks>(`tracks/${encodeURIComponent(id)}/peaks`, { points }, abort.signal).then(
          ({ rms }) => {
            if (abort.signal.aborted) return;
            kept.set(id, rms);
            for (const oldest of kept.keys()) {
              if (kept.size <= keptMost) break;
              kept.delete(oldest);
            }
            setOutline(rms);
          },
          (cause: unknown) => {
            // It is being made: the answer says when to come back. Anything else leaves the plain slider.
            if (!abort.signal.aborted && cause instanceof ApiError && cause.status === 503) again = setTimeout(ask, Math.max(1, cause.retryAfterSeconds) * 1_000);
          },
        );
      };
      const seen = () => {
        if (!document.hidden && outline() === undefined && again === undefined) ask();
      };
      ask();
      document.addEventListener("visibilitychange", seen);
      onCleanup(() => {
        abort.abort();
        clearTimeout(again);
        document.removeEventListener("visibilitychange", seen);
      });
    }),
  );
  return outline;
}

/**
 * A seek bar that shows how loud the track is all along. It is a slider, with a picture of it: without an outline it looks
 * like any other. Values in milliseconds.
 */
export function Waveform(props: {
  outline: readonly number[] | undefined;
  label: string;
  text: string;
  value: number;
  max: number;
  /** How far it is fetched. */
  fetched: number;
  playing: boolean;
  onInput: (ms: number) => void;
  onCommit: (ms: number) => void;
}): JSX.Element {
  let box!: HTMLDivElement;
  const [width, setWidth] = createSignal(0);
  const [pointer, setPointer] = createSignal<number>();
  onMount(() => {
    const size = new ResizeObserver(() => setWidth(box.clientWidth));
    size.observe(box);
    setWidth(box.clientWidth);
    onCleanup(() => size.disconnect());
  });
  const path = createMemo(() => {
    const count = Math.floor(width() / step);
    return props.outline === undefined || count === 0 ? "" : pathOf(barsOf(props.outline, count), width() / count, height, stroke);
  });
  const part = (ms: number) => (props.max > 0 ? Math.min(1, Math.max(0, ms / props.max)) : 0);
  const upTo = (ms: number) => ({ "clip-path": `inset(-4px ${((1 - part(ms)) * 100).toFixed(3)}% -4px -4px)` });
  const slider = () => <Slider label={props.label} value={props.value} max={props.max} step={1000} text={props.text} onInput={(ms) => props.onInput(ms)} onCommit={(ms) => props.onCommit(ms)} />;
  return (
    <div
      ref={box}
      // Time runs from left to right in every language, as it does on every player.
      dir="ltr"
      classList={{ waveform: props.outline !== undefined, going: props.playing }}
      onPointerMove={(e) => setPointer(e.pointerType === "mouse" && width() > 0 ? (e.clientX - box.getBoundingClientRect().left) / width() : undefined)}
      onPointerLeave={() => setPointer(undefined)}
    >
      <Show when={path() !== ""}>
        <svg aria-hidden="true" viewBox={`0 0 ${width()} ${height}`}>
          <path class="to-come" d={path()} />
          <path class="fetched" d={path()} style={upTo(props.fetched)} />
          <Show when={pointer()}>{(p) => <path class="under-pointer" d={path()} style={upTo(p() * props.max)} />}</Show>
          <path class="heard" d={path()} style={upTo(props.value)} />
        </svg>
        <Show when={pointer()}>
          {(p) => (
            <span class="pointer-time" aria-hidden="true" style={{ transform: `translateX(calc(${p() * width()}px - 50%))` }}>
              {clock(p() * props.max)}
            </span>
          )}
        </Show>
      </Show>
      {slider()}
    </div>
  );
}
