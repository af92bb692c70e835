// Progress with its forecast, and the pace, drawn by uPlot from one small answer.
import { colour, onScheme } from "./colours.js";

const HEIGHT = 210;
const STEPS_MAX = 60;

export class JobCharts {
  constructor(section, job) {
    this.section = section;
    this.job = job;
    this.drawn = [];
    this.data = null;
    this.asking = false;
    onScheme(() => this.draw());
    let width = 0;
    new ResizeObserver(() => {
      if (section.clientWidth === width) return;
      width = section.clientWidth;
      this.draw();
    }).observe(section);
  }

  async refresh() {
    if (this.asking || !window.uPlot) return;
    this.asking = true;
    try {
      const answer = await fetch(`/ui/job/series?${this.job}`).catch(() => null);
      if (answer?.ok) {
        this.data = await answer.json();
        this.section.hidden = this.data.items.length === 0;
        this.draw();
      }
    } finally {
      this.asking = false;
    }
  }

  draw() {
    if (!this.data || this.section.hidden) return;
    for (const chart of this.drawn) chart.destroy();
    this.drawn = [this.progress(), this.pace()];
    this.say();
  }

  axes() {
    const text = colour("muted");
    const grid = { stroke: colour("line"), width: 1 };
    const common = { stroke: text, grid, ticks: grid, font: "12px system-ui" };
    return [{ ...common, space: 80, values: (_, ticks, __, ___, step) => ticks.map((at) => moment(at, step)) }, { ...common, size: 62, values: (_, ticks) => ticks.map(short) }];
  }

  options(place, series, more = {}) {
    return {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      axes: this.axes(),
      series: [{}, ...series],
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
      ...more,
    };
  }

  // Done so far; then three lines to the end: soonest, likely, latest, with the space between filled.
  progress() {
    const { start, span, items, total, done, now, forecast } = this.data;
    const times = [start];
    const sums = [0];
    items.forEach((count, n) => {
      times.push(Math.min(start + (n + 1) * span, Math.max(now, start + n * span + 1)));
      sums.push(sums[n] + count);
    });
    const counted = sums[sums.length - 1];
    const empty = () => new Array(times.length).fill(null);
    const lines = [empty(), empty(), empty()];
    if (forecast) {
      const from = times[times.length - 1];
      const ends = [forecast.soonest, forecast.likely, Math.min(forecast.latest, 4 * forecast.likely)].map((left) => now + left);
      for (const line of lines) line[times.length - 1] = counted;
      const points = [...new Set([...ends, from + 1])].filter((at) => at > from).sort((a, b) => a - b);
      for (const at of points) {
        times.push(at);
        sums.push(null);
        ends.forEach((end, n) => {
          const value = counted + ((total - counted) * (at - from)) / Math.max(1, end - from);
          lines[n].push(Math.min(total, value));
        });
      }
    }
    const place = this.section.querySelector("[data-chart=progress]");
    const [line, band] = [colour("done"), colour("running")];
    const series = [
      { stroke: line, width: 2, fill: faint(line, 0.15), points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: band, width: 1.5, dash: [5, 4], points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ];
    const options = this.options(place, series, {
      bands: [{ series: [2, 4], fill: faint(band, 0.18) }],
      scales: { y: { range: () => [0, Math.max(1, total, done)] } },
    });
    return new window.uPlot(options, [times, sums, ...lines], place);
  }

  pace() {
    const { start } = this.data;
    const { span, items } = this.steps();
    const place = this.section.querySelector("[data-chart=pace]");
    const times = items.map((_, n) => start + n * span);
    const rates = items.map((count) => count / span);
    times.push(start + items.length * span);
    rates.push(rates[rates.length - 1]);
    const line = colour("running");
    const steps = window.uPlot.paths.stepped({ align: 1 });
    const series = [{ stroke: line, width: 1.5, fill: faint(line, 0.2), paths: steps, points: { show: false } }];
    return new window.uPlot(this.options(place, series), [times, rates], place);
  }

  // The pace in few, longer steps: answers come in lumps, a chunk at a time.
  steps() {
    const { span, items } = this.data;
    const lump = Math.ceil(items.length / STEPS_MAX);
    const sums = new Array(Math.ceil(items.length / lump)).fill(0);
    items.forEach((count, n) => (sums[Math.floor(n / lump)] += count));
    if (items.length % lump && sums.length > 1) sums.pop(); // not over yet: it would look like a fall
    return { span: span * lump, items: sums };
  }

  say() {
    const { done, total, growing, forecast } = this.data;
    const words = [`${done.toLocaleString("en")} of ${total.toLocaleString("en")} items${growing ? " found so far" : ""} are done.`];
    if (forecast) {
      words.push(`About ${long(forecast.likely)} to go; likely between ${long(forecast.soonest)} and ${long(forecast.latest)}.`);
    }
    this.section.querySelector("#forecast").textContent = words.join(" ");
    const { span, items } = this.steps();
    const most = Math.max(...items) / span;
    const mean = items.reduce((sum, count) => sum + count, 0) / (items.length * span);
    const said = `${short(mean)} items/s on average, ${short(most)} at most; each step is ${long(span)}.`;
    this.section.querySelector("#pace").textContent = said;
  }
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { minute: "2-digit", second: "2-digit" });

function moment(at, step) {
  const date = new Date(at * 1000);
  if (step >= 86400) return DAY.format(date);
  if (step < 60) return `${SECONDS.format(date)}${step < 1 ? `.${Math.floor(date.getMilliseconds() / 100)}` : ""}`;
  return step >= 3600 && date.getHours() === 0 ? DAY.format(date) : CLOCK.format(date);
}

function faint(shade, opacity) {
  return shade.replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);
}

function short(value) {
  if (value === null) return "";
  if (value >= 10000) return Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  return Intl.NumberFormat("en", { maximumSignificantDigits: value < 100 ? 2 : 4 }).format(value);
}

function long(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return hours < 48 ? `${hours.toFixed(1)} h` : `${Math.round(hours / 24)} days`;
}
