// /jobs: asks for its list again when the server says that something in it changed.
import "./keyed.js";
import { follow, liveSign } from "./live.js";

const list = () => document.getElementById("jobs");

follow(
  () => `${list().dataset.events}&seen=${list().dataset.seen}`,
  () => window.htmx?.trigger(list(), "fallow-changed"),
  liveSign(document.querySelector("[data-live]")),
);

// A filter takes effect when it is chosen.
for (const select of document.querySelectorAll(".jobs-filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
