// /worker: follows one worker, and draws its chart: items per second as an area, failed attempts as bars.
import "./keyed.js";
import { follow, liveSign } from "./live.js";

const now = () => document.getElementById("now");

follow(
  () => `${now().dataset.events}&seen=${now().dataset.seen}`,
  () => {
    for (const part of [now(), document.getElementById("history")]) window.htmx?.trigger(part, "fallow-changed");
  },
  liveSign(document.querySelector("[data-live]")),
);

const place = document.querySelector("[data-timeline]");
let numbers = null;
let chart = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// light-dark() is resolved by the browser where it is used as a colour, so ask an element for it.
function resolved(name) {
  const probe = document.createElement("span");
  probe.style.color = colour(name);
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function draw() {
  if (!numbers || !window.uPlot) return;
  const [text, line, done, failed] = ["--muted", "--line", "--done", "--failed"].map(resolved);
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const options = {
    width: Math.max(place.clientWidth, 260),
    height: 220,
    cursor: { drag: { x: false, y: false } },
    legend: { live: true },
    scales: { failures: { range: (_, __, most) => [0, Math.max(most, 4)] }, y: { range: (_, __, most) => [0, most || 1] } },
    axes: [axis, { ...axis, label: "items/s", size: 60 }, { ...axis, side: 1, scale: "failures", grid: { show: false }, label: "failed" }],
    series: [
      {},
      { label: "Items/s", stroke: done, width: 2, fill: done.replace(")", " / 18%)").replace("rgb(", "rgb(").replaceAll(",", " "), points: { show: false } },
      { label: "Failed", scale: "failures", stroke: failed, fill: failed, paths: window.uPlot.paths.bars({ size: [0.6, 12] }), points: { show: false } },
    ],
  };
  chart?.destroy();
  chart = new window.uPlot(options, numbers, place);
}

async function load() {
  const answer = await fetch(place.dataset.timeline, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  numbers = await answer.json();
  draw();
}

if (place) {
  await load();
  new ResizeObserver(() => chart?.setSize({ width: Math.max(place.clientWidth, 260), height: 220 })).observe(place);
  document.addEventListener("fallow:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  setInterval(load, 30_000);
}
