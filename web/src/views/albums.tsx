import { createMemo, For, type JSX, Show } from "solid-js";
import { send } from "../api/client";
import { can, load, read, scan } from "../api/state";
import type { Album, AlbumWindow, GenreItems } from "../api/wire";
import { go, place } from "../router";
import { count } from "../ui/format";
import { VirtualGrid } from "../ui/grid";
import { AlbumCard } from "../ui/music";
import { Await, complain, Message } from "../ui/parts";
import { useTitle } from "../ui/title";

const orders: readonly [value: string, name: string][] = [
  ["newest", "Recently added"],
  ["alphabeticalByName", "Title"],
  ["alphabeticalByArtist", "Artist"],
  ["byYear", "Year"],
  ["recent", "Recently played"],
  ["frequent", "Most played"],
  ["starred", "Starred"],
  ["random", "Surprise me"],
];

const firstPage = 60;

export function Albums(): JSX.Element {
  const order = () => orders.find(([v]) => v === place().query.get("order"))?.[0] ?? "newest";
  const genre = () => place().query.get("genre") ?? "";
  useTitle(() => genre() || "Albums");
  const query = () => ({
    order: order(),
    genre: genre() || undefined,
    // Newest year first: the API counts down where the first year is the later one.
    ...(order() === "byYear" ? { fromYear: 9999, toYear: 1 } : {}),
  });
  const first = load<AlbumWindow>(() => ({ path: "albums", query: { ...query(), limit: firstPage } }));
  const genres = load<GenreItems>(() => ({ path: "genres" }));
  const name = createMemo(() => orders.find(([v]) => v === order())?.[1] ?? "");

  const choose = (next: { order?: string; genre?: string }) => {
    const q = new URLSearchParams();
    const o = next.order ?? order();
    const g = next.genre ?? genre();
    if (o !== "newest") q.set("order", o);
    if (g !== "") q.set("genre", g);
    go(`/${q.size > 0 ? `?${q}` : ""}`);
  };

  return (
    <>
      <header class="view-head">
        <div>
          <h1>{genre() || "Albums"}</h1>
          <p class="muted">{(() => { const w = first.value(); return w && w.total > 0 ? count(w.total, "album") : " "; })()}</p>
        </div>
        <div class="choices">
          <Show when={(genres.value()?.items.length ?? 0) > 1}>
            <label class="choice">
              <span class="visually-hidden">Genre</span>
              <select onChange={(e) => choose({ genre: e.currentTarget.value })}>
                <option value="" selected={genre() === ""}>
                  All genres
                </option>
                <For each={genres.value()?.items}>
                  {(g) => (
                    <option value={g.name} selected={genre() === g.name}>
                      {g.name}
                    </option>
                  )}
                </For>
              </select>
            </label>
          </Show>
          <label class="choice">
            <span class="visually-hidden">Order</span>
            <select onChange={(e) => choose({ order: e.currentTarget.value })}>
              <For each={orders}>
                {([value, text]) => (
                  <option value={value} selected={order() === value}>
                    {text}
                  </option>
                )}
              </For>
            </select>
          </label>
        </div>
      </header>
      <Await value={first.value()} error={first.error()} retry={first.retry} waiting={<GridWaiting />}>
        {(w) => (
          <Show when={w().items.length > 0} fallback={<NoAlbums order={order()} genre={genre()} />}>
            <VirtualGrid<Album>
              label={`Albums: ${name()}`}
              listKey={JSON.stringify(query())}
              // A random order is a new one for every page, so it has only the first.
              first={order() === "random" ? { items: w().items, total: w().items.length } : w()}
              fetch={(offset, limit) => read<AlbumWindow>("albums", { ...query(), offset, limit })}
              onError={complain}
            >
              {(album) => <AlbumCard album={album} />}
            </VirtualGrid>
          </Show>
        )}
      </Await>
    </>
  );
}

function NoAlbums(props: { order: string; genre: string }): JSX.Element {
  return (
    <Show
      when={props.order === "newest" || props.order.startsWith("alphabetical") || props.order === "random" ? props.genre === "" : false}
      fallback={
        <Message icon={props.order === "starred" ? "star" : "clock"} title={props.order === "starred" ? "Nothing starred yet" : "Nothing here yet"}>
          <p>{props.order === "starred" ? "Open an album and press its star: it will be here." : "Play something, and it will show up here."}</p>
        </Message>
      }
    >
      <EmptyLibrary />
    </Show>
  );
}

export function EmptyLibrary(): JSX.Element {
  return (
    <Show
      when={!scan()?.scanning}
      fallback={
        <Message icon="albums" title="Looking through your music">
          <p>The first albums appear here as soon as they are found.</p>
        </Message>
      }
    >
      <Message
        icon="albums"
        title="No music yet"
        action={
          <Show when={can("admin")}>
            <button
              type="button"
              class="button primary"
              onClick={() => {
                send("POST", "scan", {}).catch(complain);
              }}
            >
              Look again
            </button>
          </Show>
        }
      >
        <p>
          Put music into the folder that tutti was started with: it notices by itself. Or start it with another one:
        </p>
        <pre>
          <code>make run MUSIC=~/Music</code>
        </pre>
      </Message>
    </Show>
  );
}

export function GridWaiting(): JSX.Element {
  return (
    <div class="grid" role="status">
      <span class="visually-hidden">Loading</span>
      <For each={Array.from({ length: 12 })}>{() => <div class="skeleton card" />}</For>
    </div>
  );
}
