// /job: each part asks for itself again when the server says that something of the job moved.
import { JobCharts } from "./charts.js";
import "./keyed.js";
import { follow, liveSign } from "./live.js";
import { followLogs } from "./log.js";
import { ChunkMap } from "./map.js";

const SERIES_MILLISECONDS = 5000;
const TROUBLES_MILLISECONDS = 10000;
const PREVIEW_LINES = 20;

const jobId = document.getElementById("job").dataset.job;
const job = new URLSearchParams({ job_id: jobId }).toString();
const byId = (id) => document.getElementById(id);
const signedIn = byId("preview") !== null;
const change = (id) => byId(id) && window.htmx?.trigger(byId(id), "fallow-changed");

// A part that is costly to make is asked for at most so often, and once more at the end.
function atMostEvery(milliseconds, act) {
  let last = -milliseconds;
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      last = performance.now();
      act();
    }, Math.max(0, last + milliseconds - performance.now()));
  };
}

async function openChunk(number, { focus = true } = {}) {
  if (!signedIn) return;
  const panel = byId("chunk");
  panel.hidden = false;
  await window.htmx?.ajax("GET", `/ui/job/chunk?${job}&chunk=${number}`, { target: panel, swap: "innerHTML" });
  const here = new URL(location.href);
  here.searchParams.set("chunk", number);
  history.replaceState(null, "", here);
  if (focus) {
    panel.scrollIntoView({ block: "start" });
    byId("chunk-title")?.focus({ preventScroll: true });
  }
}

// A chunk that is not there: the panel says so. Other parts keep what they show when they cannot be asked for.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "chunk" && event.detail.isError) event.detail.shouldSwap = true;
});

function closeChunk() {
  const opened = byId("chunk").querySelector("[data-open-chunk]")?.dataset.openChunk;
  byId("chunk").hidden = true;
  byId("chunk").replaceChildren();
  const here = new URL(location.href);
  here.searchParams.delete("chunk");
  here.hash = "";
  history.replaceState(null, "", here);
  (byId(`open-chunk-${opened}`) || document.querySelector("[data-map]")).focus();
}

// Only when something is new in it; keeps what is unfolded and, by their ids, what has the focus.
async function refreshChunk() {
  const panel = byId("chunk");
  const shown = panel.querySelector("[data-open-chunk]");
  if (!shown || document.hidden) return;
  const answer = await fetch(`/ui/job/chunk?${job}&chunk=${shown.dataset.openChunk}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || shown !== panel.querySelector("[data-open-chunk]")) return;
  const text = await answer.text();
  if (text.includes(`data-version="${shown.dataset.version}"`)) return;
  const folded = new Map([...panel.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
  window.htmx.swap(panel, text, { swapStyle: "innerHTML" });
  for (const each of panel.querySelectorAll("details[id]")) if (folded.has(each.id)) each.open = folded.get(each.id);
  lookAtLogs();
}

async function showChunks(query) {
  await window.htmx?.ajax("GET", `/ui/job/chunks?${query}`, { target: "#chunks", swap: "outerHTML" });
  const here = new URL(location.href);
  const asked = new URLSearchParams(query);
  for (const name of ["state", "after"]) {
    if (asked.get(name)) here.searchParams.set(name, asked.get(name));
    else here.searchParams.delete(name);
  }
  history.replaceState(null, "", here);
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const chunk = event.target.closest("[data-chunk]");
  const page = event.target.closest("[data-chunks]");
  const close = event.target.closest("[data-close-chunk]");
  if (!window.htmx || !(chunk || page || close)) return;
  event.preventDefault();
  if (chunk) openChunk(chunk.dataset.chunk);
  else if (page) showChunks(page.dataset.chunks);
  else closeChunk();
});

byId("chunk-open")?.addEventListener("submit", (event) => {
  event.preventDefault();
  openChunk(byId("chunk-number").value);
});

byId("chunk-filter").addEventListener("submit", (event) => {
  event.preventDefault();
  showChunks(new URLSearchParams({ job_id: jobId, state: byId("chunk-state").value }).toString());
});
byId("chunk-state").addEventListener("change", (event) => event.target.form.requestSubmit());

const map = new ChunkMap(byId("map"), job, (first, count) => {
  if (count > 1) showChunks(new URLSearchParams({ job_id: jobId, after: first - 1 }).toString());
  openChunk(first);
});
const charts = new JobCharts(byId("charts"), job);
const drawSeries = atMostEvery(SERIES_MILLISECONDS, () => charts.refresh());
const chunkAgain = atMostEvery(2000, refreshChunk);
const troublesAgain = atMostEvery(TROUBLES_MILLISECONDS, () => change("failures"));
const previewAgain = atMostEvery(TROUBLES_MILLISECONDS, () => change("preview"));
let before = { ...byId("head").dataset };

// A log grows without anything of the job moving.
const lookAtLogs = followLogs(byId("chunk"), chunkAgain);

function changed(names) {
  const missed = names === null;
  change("head");
  change("chunks");
  map.refresh(missed);
  drawSeries();
  chunkAgain();
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "head") return;
  const now = { ...byId("head").dataset };
  if (now.troubles !== before.troubles) troublesAgain();
  const lines = Number(byId("preview")?.querySelector("[data-lines]")?.dataset.lines || 0);
  if (now.over !== before.over || (now.results !== before.results && lines < PREVIEW_LINES)) previewAgain();
  before = now;
});

// The map first: the rest costs the server more, and is further down.
map.refresh(true).finally(() => {
  performance.mark("fallow-map-drawn");
  drawSeries();
  troublesAgain();
  previewAgain();
});
follow(() => `/ui/job/events?${job}&seen=${byId("head").dataset.seen}`, changed, liveSign(document.querySelector("[data-live]")));
