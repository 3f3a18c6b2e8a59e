import { expect, test } from "vitest";
import type { Track } from "../api/wire";
import { choose } from "./choose";

const track = (id: string, artist: string, missing = false): Track => ({ id, title: id, artist, artists: [{ id: artist, name: artist }], missing }) as unknown as Track;
const ids = (list: readonly Track[]) => list.map((x) => x.id).join(" ");

test("artists take turns while there are several", () => {
  const list = [track("a1", "a"), track("a2", "a"), track("b1", "b"), track("a3", "a"), track("c1", "c")];
  expect(ids(choose(list, [track("x", "a")], 4))).toBe("b1 c1 a1 a2");
});

test("nothing comes twice, nor what is missing", () => {
  const queue = [track("a1", "a"), track("b1", "b")];
  expect(ids(choose([track("b1", "b"), track("a1", "a"), track("c1", "c", true), track("a2", "a")], queue, 5))).toBe("a2");
  expect(choose(queue, queue, 5)).toEqual([]);
});
