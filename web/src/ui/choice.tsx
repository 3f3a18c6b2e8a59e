import { createUniqueId, For, type JSX, Show } from "solid-js";
import "./choice.css";

/** A few choices beside each other, of which one holds: radio buttons, worked by the arrow keys. */
export function Segmented<T extends string | number>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  hint?: string;
  onChange: (value: T) => void;
}): JSX.Element {
  const name = createUniqueId();
  return (
    <fieldset class="segmented" aria-describedby={props.hint === undefined ? undefined : `${name}-hint`}>
      <legend>{props.label}</legend>
      <div>
        <For each={props.options}>
          {(o) => (
            <label>
              <input type="radio" name={name} checked={props.value === o.value} onChange={() => props.onChange(o.value)} />
              <span>{o.label}</span>
            </label>
          )}
        </For>
      </div>
      <Show when={props.hint}>
        <p id={`${name}-hint`} class="hint">
          {props.hint}
        </p>
      </Show>
    </fieldset>
  );
}

/** Something that is on or off, and takes effect at once. */
export function Switch(props: { label: string; on: boolean; hint?: string; disabled?: boolean; onChange: (on: boolean) => void }): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="switch">
      <label>
        <span>{props.label}</span>
        <input
          type="checkbox"
          role="switch"
          checked={props.on}
          disabled={props.disabled}
          aria-describedby={props.hint === undefined ? undefined : id}
          onChange={(e) => props.onChange(e.currentTarget.checked)}
        />
      </label>
      <Show when={props.hint}>
        <p id={id} class="hint">
          {props.hint}
        </p>
      </Show>
    </div>
  );
}

/** A number on a line, with what it is written beside it. */
export function Dial(props: { label: string; value: number; min: number; max: number; step: number; text: string; hint?: string; onInput: (value: number) => void }): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="dial">
      <label for={id}>{props.label}</label>
      <output for={id} aria-hidden="true">
        {props.text}
      </output>
      <input
        id={id}
        class="slider"
        type="range"
        min={props.min}
        max={props.max}
        step={props.step}
        value={props.value}
        aria-valuetext={props.text}
        aria-describedby={props.hint === undefined ? undefined : `${id}-hint`}
        style={{ "--part": `${((props.value - props.min) / (props.max - props.min)) * 100}%` }}
        onInput={(e) => props.onInput(e.currentTarget.valueAsNumber)}
      />
      <Show when={props.hint}>
        <p id={`${id}-hint`} class="hint">
          {props.hint}
        </p>
      </Show>
    </div>
  );
}
