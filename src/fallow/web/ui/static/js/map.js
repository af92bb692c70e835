// The chunk map: one canvas, one cell a chunk, or a few chunks a cell when there are many. The numbers come packed (see
// web/ui/job_data.py) and stay in two typed arrays, so that memory does not grow with what is drawn.
import { colour, onScheme } from "./colours.js";
import { announce } from "./page.js";

const KINDS = ["planned", "queued", "running", "verifying", "done", "failed", "cancelled", "split"];
const ORDER = [5, 4, 3, 2, 1, 6, 7, 0]; // what is drawn first within a cell: trouble is never hidden
const COLOURS = { planned: "planned", queued: "queued", running: "running", verifying: "verifying", done: "done", failed: "failed", cancelled: "cancelled", split: "split" };
const WHEEL = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#77aadd"]; // told apart by most eyes
const HEAT = ["#2c7fb8", "#41a6c2", "#7fcdbb", "#d9d57a", "#fdb863", "#e66101", "#b2182b"];
const HEIGHT_MAX = 340;

export class ChunkMap {
  constructor(section, job, open) {
    this.section = section;
    this.job = job;
    this.open = open;
    this.frame = section.querySelector("[data-map]");
    this.canvas = section.querySelector("canvas");
    this.tip = section.querySelector(".map-tip");
    this.legend = section.querySelector("[data-legend]");
    this.scale = section.querySelector("[data-map-scale]");
    this.counts = new Uint16Array(0);
    this.cells = 0;
    this.chunks = 0;
    this.perCell = 1;
    this.mark = null;
    this.mode = "state";
    this.runs = null;
    this.runsAt = 0;
    this.cursor = -1;
    this.asking = null;
    this.again = false;
    this.listen();
  }

  listen() {
    new ResizeObserver(() => this.draw()).observe(this.frame);
    onScheme(() => this.draw());
    for (const radio of this.section.querySelectorAll("[name=map-mode]")) {
      radio.addEventListener("change", () => this.setMode(radio.value));
    }
    this.frame.addEventListener("pointermove", (event) => this.point(this.cellAt(event)));
    this.frame.addEventListener("pointerleave", () => this.point(-1));
    this.frame.addEventListener("click", (event) => this.choose(this.cellAt(event)));
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.frame.addEventListener("blur", () => this.point(-1));
  }

  // Asks for what changed; one question at a time, and once more when something changed meanwhile.
  async refresh(whole = false) {
    if (whole) this.mark = null;
    if (this.asking) {
      this.again = true;
      return this.asking;
    }
    this.asking = this.ask();
    try {
      await this.asking;
    } finally {
      this.asking = null;
    }
    if (this.again) {
      this.again = false;
      await this.refresh();
    }
  }

  async ask() {
    const after = this.mark === null ? "" : `&after=${this.mark}`;
    const answer = await fetch(`/ui/job/map?${this.job}${after}`).catch(() => null);
    if (!answer?.ok) {
      this.mark = null;
      return;
    }
    const buffer = await answer.arrayBuffer();
    const [version, chunks, perCell, count, whole, low, high] = new Uint32Array(buffer, 0, 8);
    if (version !== 1) return;
    if (!whole && perCell !== this.perCell) {
      this.mark = null;
      this.again = true;
      return;
    }
    const cells = Math.ceil(chunks / perCell);
    if (whole || cells !== this.cells) {
      const counts = new Uint16Array(cells * KINDS.length);
      if (!whole) counts.set(this.counts.subarray(0, counts.length));
      this.counts = counts;
    }
    const numbers = new Uint32Array(buffer, 32, count);
    const fresh = new Uint16Array(buffer, 32 + 4 * count, count * KINDS.length);
    for (let n = 0; n < count; n++) this.counts.set(fresh.subarray(n * 8, n * 8 + 8), numbers[n] * 8);
    Object.assign(this, { chunks, perCell, cells, mark: high * 2 ** 32 + low });
    if (this.mode !== "state") await this.askRuns();
    this.draw();
  }

  async askRuns() {
    if (this.runs && performance.now() - this.runsAt < 5000) return;
    this.runsAt = performance.now();
    const answer = await fetch(`/ui/job/runs?${this.job}`).catch(() => null);
    if (!answer?.ok) return;
    const { per_cell: perCell, cells } = await answer.json();
    if (perCell === this.perCell) this.runs = new Map(cells.map((cell) => [cell[0], cell]));
  }

  async setMode(mode) {
    this.mode = mode;
    if (mode !== "state") await this.askRuns();
    this.draw();
  }

  layout() {
    const width = this.frame.clientWidth;
    let pitch = 15;
    while (pitch > 3 && Math.ceil(this.cells / Math.floor(width / pitch)) * pitch > HEIGHT_MAX) pitch--;
    this.columns = Math.max(1, Math.floor(width / pitch));
    this.pitch = pitch;
    return { width, height: Math.max(pitch, Math.ceil(this.cells / this.columns) * pitch) };
  }

  draw() {
    this.section.hidden = this.chunks === 0;
    if (!this.chunks || !this.frame.clientWidth) return;
    const { width, height } = this.layout();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const gap = this.pitch >= 5 ? 1 : 0; // half pixels would blur
    this.paint(pen, this.pitch - gap);
    this.drawCursor();
    const several = this.perCell > 1 ? `, ${this.perCell.toLocaleString("en")} to a cell` : ", one to a cell";
    this.scale.textContent = `${this.chunks.toLocaleString("en")} chunks${several}`;
    this.frame.dataset.drawn = this.mode;
  }

  paint(pen, size) {
    const painters = { state: () => this.stacks(), worker: () => this.workers(), duration: () => this.durations(), retries: () => this.retries() };
    const fill = painters[this.mode]();
    for (let cell = 0; cell < this.cells; cell++) {
      const x = (cell % this.columns) * this.pitch;
      const y = Math.floor(cell / this.columns) * this.pitch;
      fill(pen, cell, x, y, size);
    }
  }

  total(cell) {
    let total = 0;
    for (let kind = 0; kind < 8; kind++) total += this.counts[cell * 8 + kind];
    return total;
  }

  // By state: each cell is a small stack, as high as there are chunks in each state.
  stacks() {
    const colours = KINDS.map((kind) => colour(COLOURS[kind]));
    const sums = new Array(8).fill(0);
    for (let n = 0; n < this.counts.length; n++) sums[n % 8] += this.counts[n];
    this.explain(ORDER.filter((kind) => sums[kind]).map((kind) => [colours[kind], KINDS[kind], sums[kind]]));
    return (pen, cell, x, y, size) => {
      const total = this.total(cell);
      let top = y;
      for (const kind of ORDER) {
        const count = this.counts[cell * 8 + kind];
        if (!count) continue;
        const height = count === total ? size : Math.max((size * count) / total, kind === 5 ? 1 : 0);
        pen.fillStyle = colours[kind];
        pen.fillRect(x, top, size, Math.min(height, y + size - top));
        top += height;
      }
    };
  }

  // By anything of how a cell was run. of(run): its colour.
  byRun(of) {
    const none = colour("planned");
    return (pen, cell, x, y, size) => {
      const run = this.runs?.get(cell);
      pen.fillStyle = (run && of(run)) || none;
      pen.fillRect(x, y, size, size);
    };
  }

  workers() {
    const cells = new Map();
    let several = 0;
    for (const [, first, other] of this.runs?.values() || []) {
      if (other) several++;
      else if (first) cells.set(first, (cells.get(first) || 0) + 1);
    }
    const known = [...cells].sort((a, b) => b[1] - a[1]);
    const colours = new Map(known.slice(0, WHEEL.length).map(([name], n) => [name, WHEEL[n]]));
    const rest = colour("line-strong");
    const lines = known.slice(0, WHEEL.length).map(([name, count]) => [colours.get(name), name, count]);
    const others = known.slice(WHEEL.length).reduce((sum, [, count]) => sum + count, 0) + several;
    if (others) lines.push([rest, several ? "several, or others" : "others", others]);
    this.explain([...lines, [colour("planned"), "nobody yet", null]]);
    return this.byRun(([, first, other]) => (other ? rest : first && (colours.get(first) || rest)));
  }

  durations() {
    const known = [...(this.runs?.values() || [])].map((run) => run[3]).filter((seconds) => seconds !== null).sort((a, b) => a - b);
    const bounds = HEAT.slice(1).map((_, n) => known[Math.floor(((n + 1) * known.length) / HEAT.length)] ?? Infinity);
    const pick = (took) => {
      const place = bounds.findIndex((bound) => took < bound);
      return HEAT[place < 0 ? HEAT.length - 1 : place];
    };
    const lines = known.length
      ? [[HEAT[0], `fastest, ${seconds(known[0])}`, null], [HEAT[3], `median, ${seconds(known[known.length >> 1])}`, null], [HEAT[6], `slowest, ${seconds(known[known.length - 1])}`, null]]
      : [];
    this.explain([...lines, [colour("planned"), "not known yet", null]]);
    return this.byRun((run) => run[3] !== null && pick(run[3]));
  }

  retries() {
    const shades = [colour("done"), HEAT[3], HEAT[4], HEAT[6]];
    const sums = [0, 0, 0, 0];
    for (const run of this.runs?.values() || []) sums[Math.min(3, Math.max(0, run[4] - 1))]++;
    const names = ["first try", "1 retry", "2 retries", "3 or more"];
    this.explain([...names.map((name, n) => [shades[n], name, sums[n]]), [colour("planned"), "not tried yet", null]]);
    return this.byRun((run) => run[4] && shades[Math.min(3, run[4] - 1)]);
  }

  explain(lines) {
    this.legend.replaceChildren(
      ...lines.map(([shade, name, count]) => {
        const line = document.createElement("li");
        const swatch = document.createElement("i");
        swatch.style.background = shade;
        line.append(swatch, count === null ? name : `${name} ${count.toLocaleString("en")}`);
        return line;
      }),
    );
  }

  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.pitch);
    const cell = Math.floor((event.clientY - box.top) / this.pitch) * this.columns + column;
    return column >= 0 && column < this.columns && cell >= 0 && cell < this.cells ? cell : -1;
  }

  words(cell) {
    const first = cell * this.perCell;
    const last = Math.min(first + this.perCell, this.chunks) - 1;
    const which = first === last ? `chunk ${first}` : `chunks ${first} to ${last}`;
    const total = this.total(cell);
    const states = ORDER.filter((kind) => this.counts[cell * 8 + kind])
      .map((kind) => (total === 1 ? KINDS[kind] : `${this.counts[cell * 8 + kind]} ${KINDS[kind]}`))
      .join(", ");
    const run = this.mode !== "state" && this.runs?.get(cell);
    const how = run ? [run[1] && `on ${run[2] ? `${run[1]} and others` : run[1]}`, run[3] !== null && seconds(run[3]), run[4] > 1 && `${run[4]} attempts`].filter(Boolean) : [];
    return [`${which}: ${states}`, ...how].join(", ");
  }

  point(cell) {
    this.tip.hidden = cell < 0;
    if (cell < 0) return;
    this.tip.textContent = this.words(cell);
    const x = (cell % this.columns) * this.pitch;
    const y = Math.floor(cell / this.columns) * this.pitch;
    const left = Math.max(0, Math.min(x + this.pitch + 6, this.frame.clientWidth - this.tip.offsetWidth));
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${y + this.pitch + 6}px`;
  }

  key(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns };
    let cell = this.cursor;
    if (event.key in steps) cell = cell < 0 ? 0 : cell + steps[event.key];
    else if (event.key === "Home") cell = 0;
    else if (event.key === "End") cell = this.cells - 1;
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(this.cursor);
      return;
    } else return;
    event.preventDefault();
    if (cell < 0 || cell >= this.cells) return;
    this.cursor = cell;
    this.draw();
    this.point(cell);
    announce(this.words(cell));
  }

  drawCursor() {
    if (this.cursor < 0 || this.cursor >= this.cells) return;
    const pen = this.canvas.getContext("2d");
    pen.strokeStyle = colour("text");
    pen.lineWidth = 2;
    pen.strokeRect((this.cursor % this.columns) * this.pitch - 1, Math.floor(this.cursor / this.columns) * this.pitch - 1, this.pitch + 1, this.pitch + 1);
  }

  choose(cell) {
    if (cell >= 0) this.open(cell * this.perCell, this.perCell);
  }
}

function seconds(value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}
