import type { Table } from "..";
import house from "./house.json";
import library from "./library.json";
import lists from "./lists.json";
import sound from "./sound.json";

const table: Table = { ...house, ...library, ...lists, ...sound };
export default table;
