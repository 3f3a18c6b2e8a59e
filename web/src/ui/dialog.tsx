import { createSignal, createUniqueId, type JSX, onMount } from "solid-js";
import { render } from "solid-js/web";
import { t } from "../words";
import { IconButton } from "./parts";
import "./dialog.css";

/**
 * Opens a dialog over whatever view there is, and resolves to what it was closed with: undefined where somebody thought
 * better of it. The browser keeps the focus inside and gives it back.
 */
export function openDialog<T>(title: string, body: (close: (value?: T) => void) => JSX.Element): Promise<T | undefined> {
  return new Promise((resolve) => {
    const place = document.createElement("div");
    document.body.append(place);
    let result: T | undefined;
    const dispose = render(
      () => (
        <Sheet
          title={title}
          onClose={() => {
            dispose();
            place.remove();
            resolve(result);
          }}
        >
          {(close) =>
            body((value) => {
              result = value;
              close();
            })
          }
        </Sheet>
      ),
      place,
    );
  });
}

function Sheet(props: { title: string; onClose: () => void; children: (close: () => void) => JSX.Element }): JSX.Element {
  let dialog!: HTMLDialogElement;
  const id = createUniqueId();
  onMount(() => dialog.showModal());
  return (
    <dialog
      ref={dialog}
      class="sheet"
      aria-labelledby={id}
      onClose={() => props.onClose()}
      // A press that begins on the backdrop closes; one that ends there after selecting text does not.
      onPointerDown={(e) => {
        if (e.target === dialog && outside(dialog, e)) dialog.close();
      }}
    >
      <header>
        <h2 id={id}>{props.title}</h2>
        <IconButton icon="remove" label={t("lists.close")} onClick={() => dialog.close()} />
      </header>
      {props.children(() => dialog.close())}
    </dialog>
  );
}

function outside(box: Element, e: PointerEvent): boolean {
  const r = box.getBoundingClientRect();
  return e.clientX < r.left || e.clientX > r.right || e.clientY < r.top || e.clientY > r.bottom;
}

/** Asks before something that cannot be taken back. */
export function confirm(title: string, text: string, action: string): Promise<boolean> {
  return openDialog<boolean>(title, (close) => (
    <div class="stack">
      <p>{text}</p>
      <div class="sheet-end">
        <button type="button" class="button" onClick={() => close()}>
          {t("lists.cancel")}
        </button>
        <button type="button" class="button danger" onClick={() => close(true)}>
          {action}
        </button>
      </div>
    </div>
  )).then((yes) => yes === true);
}

/** A form in a dialog: says what the server refuses, and holds still while it is asked. */
export function Form(props: { action: string; submit: () => Promise<void>; close: () => void; disabled?: boolean; children: JSX.Element }): JSX.Element {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal("");
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        setBusy(true);
        setProblem("");
        props.submit().then(
          () => props.close(),
          (cause: unknown) => {
            setBusy(false);
            setProblem(cause instanceof Error ? cause.message : String(cause));
          },
        );
      }}
    >
      {props.children}
      <p class="problem" role="alert">
        {problem()}
      </p>
      <div class="sheet-end">
        <button type="button" class="button" onClick={() => props.close()}>
          {t("lists.cancel")}
        </button>
        <button type="submit" class="button primary" disabled={busy() || props.disabled}>
          {props.action}
        </button>
      </div>
    </form>
  );
}
