import clock from "./clock.json";
import house from "./house.json";
import library from "./library.json";
import lists from "./lists.json";
import rooms from "./rooms.json";
import sound from "./sound.json";

/** English, in one file for each part of the page. Keys begin with the name of their file. carbon.json and review.json come with their views. */
export default { ...clock, ...house, ...library, ...lists, ...rooms, ...sound };
