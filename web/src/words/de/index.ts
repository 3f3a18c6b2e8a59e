import type { Table } from "..";
import house from "./house.json";
import library from "./library.json";
import lists from "./lists.json";
import rooms from "./rooms.json";
import sound from "./sound.json";

const table: Table = { ...house, ...library, ...lists, ...rooms, ...sound };
export default table;
