import { render } from "solid-js/web";
import { App } from "./app";
import { preferences } from "./preferences";
import "./styles.css";
import { speak } from "./words";

const root = document.getElementById("app");
// A language that cannot be fetched is no reason to show nothing: then it is English, which is part of the page.
if (root !== null) void speak(preferences.language).catch(() => undefined).then(() => render(() => <App />, root));
