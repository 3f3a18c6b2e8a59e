import { createSignal, For, type JSX, onMount, Show } from "solid-js";
import { get, send } from "../api/client";
import { load, session } from "../api/state";
import type { LibraryItems, User, UserEdit, UserItems } from "../api/wire";
import { complain, say } from "../ui/parts";
import { t, tag } from "../words";
import { explain, focusSoon, shortest } from "./account";

const roles = ["admin", "stream", "download", "share", "playlist", "cover", "comment"] as const satisfies readonly User["roles"][number][];

/** kbit/s that a limit may be set to; 0 for none. */
const limits = [0, 320, 256, 192, 128, 96, 64] as const;

/** The accounts of the server, for who administers it. */
export function People(): JSX.Element {
  const [users, setUsers] = createSignal<readonly User[]>();
  const [problem, setProblem] = createSignal("");
  const [open, setOpen] = createSignal("");
  const libraries = load<LibraryItems>(() => ({ path: "libraries" }));
  let add!: HTMLButtonElement;

  const read = () => get<UserItems>("users").then((r) => setUsers(r.items), (cause: unknown) => setProblem(explain(cause)));
  onMount(() => void read());
  const close = () => {
    setOpen("");
    add.focus();
  };
  const changed = async (what: string) => {
    say(what);
    close();
    await read();
  };

  return (
    <section class="panel wide">
      <h2>{t("house.people")}</h2>
      <Show when={users()} fallback={<p class={problem() === "" ? "muted" : "problem"}>{problem() || t("house.loading")}</p>}>
        {(list) => (
          <ul class="keys" aria-label={t("house.people")}>
            <For each={list()}>
              {(user) => (
                <li classList={{ open: open() === user.id }}>
                  <Show
                    when={open() === user.id}
                    fallback={
                      <>
                        <div>
                          <strong dir="auto">{user.name}</strong>
                          <p class="hint">{describe(user)}</p>
                        </div>
                        <button type="button" class="button small" aria-label={t("house.changeName", { name: user.name })} onClick={() => setOpen(user.id)}>
                          {t("house.change")}
                        </button>
                      </>
                    }
                  >
                    <EditUser user={user} libraries={libraries.value()?.items ?? []} onClose={close} onChanged={changed} />
                  </Show>
                </li>
              )}
            </For>
          </ul>
        )}
      </Show>
      <div class="actions">
        <button ref={add} type="button" class="button" aria-expanded={open() === "new"} onClick={() => setOpen(open() === "new" ? "" : "new")}>
          {t("house.addPerson")}
        </button>
      </div>
      <Show when={open() === "new"}>
        <NewPerson libraries={libraries.value()?.items ?? []} onClose={close} onChanged={changed} />
      </Show>
    </section>
  );
}

function describe(user: User): string {
  const parts = [new Intl.ListFormat(tag()).format(user.roles.map((role) => t(`house.role.${role}`)))];
  if (user.libraries !== undefined) parts.push(t("house.seesFolders", { count: user.libraries.length }));
  if (user.maxBitRate !== undefined) parts.push(t("house.atMost", { rate: user.maxBitRate }));
  return parts.filter((p) => p !== "").join(" · ");
}

interface Rights {
  roles: readonly User["roles"][number][];
  /** undefined: all. */
  libraries: readonly string[] | undefined;
  maxBitRate: number;
  email: string;
  scrobbling: boolean;
}

/** The body of a change; what is left out has its usual value. */
const edit = (rights: Rights): UserEdit => ({
  roles: [...rights.roles],
  scrobbling: rights.scrobbling,
  ...(rights.email === "" ? {} : { email: rights.email }),
  ...(rights.libraries === undefined ? {} : { libraries: [...rights.libraries] }),
  ...(rights.maxBitRate === 0 ? {} : { maxBitRate: rights.maxBitRate }),
});

interface EditProps {
  libraries: LibraryItems["items"];
  onClose: () => void;
  onChanged: (what: string) => Promise<void>;
}

/** What an account may do and see. */
function RightsFields(props: { rights: Rights; libraries: LibraryItems["items"]; onChange: (rights: Rights) => void }): JSX.Element {
  const set = (part: Partial<Rights>) => props.onChange({ ...props.rights, ...part });
  const sees = (id: string) => props.rights.libraries?.includes(id) ?? true;
  const choose = (id: string, on: boolean) => {
    const chosen = props.libraries.map((l) => l.id).filter((l) => (l === id ? on : sees(l)));
    // All of them is more than those there are now: whoever sees all sees a new one, too.
    set({ libraries: chosen.length === props.libraries.length ? undefined : chosen });
  };
  return (
    <>
      <fieldset class="roles">
        <legend>{t("house.mayDo")}</legend>
        <For each={roles}>
          {(role) => (
            <label>
              <input
                type="checkbox"
                checked={props.rights.roles.includes(role)}
                onChange={(e) => set({ roles: roles.filter((r) => (r === role ? e.currentTarget.checked : props.rights.roles.includes(r))) })}
              />
              {t(`house.may.${role}`)}
            </label>
          )}
        </For>
      </fieldset>
      <Show when={props.libraries.length > 1}>
        <fieldset class="roles">
          <legend>{t("house.maySee")}</legend>
          <For each={props.libraries}>
            {(library) => (
              <label>
                <input type="checkbox" checked={sees(library.id)} onChange={(e) => choose(library.id, e.currentTarget.checked)} />
                <bdi>{library.name}</bdi>
              </label>
            )}
          </For>
        </fieldset>
      </Show>
      <div class="row">
        <label>
          {t("house.email")}
          <input type="email" autocomplete="off" value={props.rights.email} onInput={(e) => set({ email: e.currentTarget.value })} />
        </label>
        <label>
          {t("house.maxRate")}
          <span class="choice">
            <select onChange={(e) => set({ maxBitRate: Number(e.currentTarget.value) })}>
              <For each={[...new Set([...limits, props.rights.maxBitRate])].sort((a, b) => (a === 0 ? -1 : b === 0 ? 1 : b - a))}>
                {(rate) => (
                  <option value={rate} selected={rate === props.rights.maxBitRate}>
                    {rate === 0 ? t("house.noLimit") : t("house.rate", { rate })}
                  </option>
                )}
              </For>
            </select>
          </span>
        </label>
      </div>
    </>
  );
}

function EditUser(props: EditProps & { user: User }): JSX.Element {
  const { user } = props;
  const [rights, setRights] = createSignal<Rights>({
    roles: user.roles,
    libraries: user.libraries,
    maxBitRate: user.maxBitRate ?? 0,
    email: user.email ?? "",
    scrobbling: user.scrobbling,
  });
  const [problem, setProblem] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  const [asked, setAsked] = createSignal(false);
  const address = `users/${encodeURIComponent(user.name)}`;
  const me = () => session()?.user.id === user.id;
  let password!: HTMLInputElement;

  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await send("PUT", address, edit(rights()));
      if (password.value !== "") await send("PUT", `${address}/password`, { password: password.value });
      await props.onChanged(t("house.savedName", { name: user.name }));
    } catch (cause) {
      setProblem(explain(cause));
    } finally {
      setBusy(false);
    }
  };
  const remove = () => {
    send("DELETE", address).then(() => props.onChanged(t("house.deletedName", { name: user.name })), (cause: unknown) => setProblem(explain(cause)));
  };

  return (
    <form class="fields editing" aria-label={t("house.changeName", { name: user.name })} onSubmit={(e) => void save(e)}>
      <h3 ref={focusSoon} tabindex="-1" dir="auto">
        {user.name}
      </h3>
      <RightsFields rights={rights()} libraries={props.libraries} onChange={setRights} />
      <Show when={!me()} fallback={<input ref={password} type="hidden" value="" />}>
        <label>
          {t("house.newPasswordFor")}
          <input ref={password} type="password" autocomplete="new-password" minlength={shortest} aria-describedby="reset-hint" />
        </label>
        <p id="reset-hint" class="hint">
          {t("house.newPasswordHint", { count: shortest })}
        </p>
      </Show>
      <p class="problem" role="alert">
        {problem()}
      </p>
      <div class="actions">
        <button type="submit" class="button primary small" disabled={busy()}>
          {t("house.save")}
        </button>
        <button type="button" class="button small" onClick={() => props.onClose()}>
          {t("house.cancel")}
        </button>
        <Show when={!me()}>
          <Show
            when={asked()}
            fallback={
              <button type="button" class="button small" onClick={() => setAsked(true)}>
                {t("house.delete")}
              </button>
            }
          >
            <button ref={focusSoon} type="button" class="button small danger" onClick={remove} onBlur={() => setAsked(false)}>
              {t("house.reallyDelete", { name: user.name })}
            </button>
          </Show>
        </Show>
      </div>
      <Show when={asked()}>
        <p class="hint" role="status">
          {t("house.deleteHint")}
        </p>
      </Show>
    </form>
  );
}

function NewPerson(props: EditProps): JSX.Element {
  const [rights, setRights] = createSignal<Rights>({ roles: ["stream", "download", "playlist", "share"], libraries: undefined, maxBitRate: 0, email: "", scrobbling: true });
  const [problem, setProblem] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  let name!: HTMLInputElement;
  let password!: HTMLInputElement;
  const make = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await send("POST", "users", { name: name.value, password: password.value, ...edit(rights()) });
      await props.onChanged(t("house.addedName", { name: name.value }));
    } catch (cause) {
      setProblem(explain(cause));
    } finally {
      setBusy(false);
    }
  };
  onMount(() => name.focus());
  return (
    <form class="fields editing" aria-label={t("house.addPerson")} onSubmit={(e) => void make(e).catch(complain)}>
      <div class="row">
        <label>
          {t("house.name")}
          <input ref={name} autocomplete="off" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          {t("house.password")}
          <input ref={password} type="password" autocomplete="new-password" required minlength={shortest} />
        </label>
      </div>
      <RightsFields rights={rights()} libraries={props.libraries} onChange={setRights} />
      <p class="problem" role="alert">
        {problem()}
      </p>
      <div class="actions">
        <button type="submit" class="button primary small" disabled={busy()}>
          {t("house.add")}
        </button>
        <button type="button" class="button small" onClick={() => props.onClose()}>
          {t("house.cancel")}
        </button>
      </div>
    </form>
  );
}
