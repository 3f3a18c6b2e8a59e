import type { Table } from "..";
import carbon from "./carbon.json";
import clock from "./clock.json";
import house from "./house.json";
import library from "./library.json";
import lists from "./lists.json";
import review from "./review.json";
import rooms from "./rooms.json";
import sound from "./sound.json";

const table: Table = { ...carbon, ...clock, ...house, ...library, ...lists, ...review, ...rooms, ...sound };
export default table;
