import { render } from "preact";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/dialogs.css";
import "./styles/frame.css";
import "./styles/lists.css";
import "./styles/picture.css";
import { Store } from "./store.ts";
import { savedLanguage, savedTheme, setLanguage, setTheme } from "./theme.ts";

setTheme(savedTheme());
setLanguage(savedLanguage());
const store = new Store(new Api());
store.start(new AbortController().signal);
render(<App store={store} />, document.getElementById("page")!);
