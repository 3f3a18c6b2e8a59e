import { For, type JSX } from "solid-js";
import { rate, ratingOf } from "../api/state";
import { t } from "../words";
import { Icon } from "./icons";
import { complain } from "./parts";
import "./rating.css";

/** Five stars to rate something with: radio buttons, worked by mouse and by arrow keys. Choosing the same again takes the rating back. */
export function RatingStars(props: { thing: { id: string; rating?: number }; name: string }): JSX.Element {
  const now = () => ratingOf(props.thing);
  const set = (stars: number) => {
    rate(props.thing, stars).catch(complain);
  };
  return (
    <fieldset class="rating">
      <legend class="visually-hidden">{t("library.ratingOf", { name: props.name })}</legend>
      <For each={[1, 2, 3, 4, 5]}>
        {(n) => (
          <label classList={{ on: n <= now() }} title={t("library.stars", { count: n })}>
            <input
              type="radio"
              class="visually-hidden"
              name={`rating-${props.thing.id}`}
              value={n}
              checked={now() === n}
              aria-label={t("library.stars", { count: n })}
              onChange={() => set(n)}
              onClick={() => {
                // No change event comes of the radio button that is set already.
                if (now() === n) set(0);
              }}
              onKeyDown={(e) => {
                if (e.key !== "Delete" && e.key !== "Backspace" && e.key !== "0") return;
                e.preventDefault();
                set(0);
              }}
            />
            <Icon name="star" filled={n <= now()} />
          </label>
        )}
      </For>
    </fieldset>
  );
}
