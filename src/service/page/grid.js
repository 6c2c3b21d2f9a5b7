// A grid of any length in which only what is in sight exists.

import { assetIn, fillCell, idOf, makeCell } from "./cell.js";
import { h, set, settled } from "./dom.js";

const PADDING = 16;
const BEYOND = 2;
const CAPTION = 46;
const LIST_ROW = 56;
// Faster than so many windows a frame nobody sees a picture.
const FLYING = 0.04;

/** Shows `rows`; calls `open(asset)`, `copy(asset)` and, when another cell has the focus, `look(asset)`. */
export class Grid {
  #rows;
  #on;
  #canvas = h("div", { class: "canvas", role: "grid", "aria-label": "Assets" });
  #placed = new Map();
  #free = [];
  #width = 0;
  #height = 0;
  #columns = 1;
  #rowHeight = LIST_ROW;
  #list = false;
  #active = 0;
  #selected = "";
  #flying = false;
  #lastTop = 0;
  #frame = 0;
  #landed = settled(90, () => this.#land());

  constructor(rows, on) {
    this.#rows = rows;
    this.#on = on;
    this.element = h("div", { class: "scroller" }, this.#canvas);
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#canvas.addEventListener("click", (event) => this.#clicked(event));
    this.#canvas.addEventListener("keydown", (event) => this.#pressed(event));
    this.#canvas.addEventListener("focusin", (event) => this.#focused(event));
    rows.addEventListener("fresh", () => {
      this.#active = 0;
      this.#lastTop = 0;
      this.element.scrollTop = 0;
      this.#measure();
    });
    rows.addEventListener("changed", () => this.#measure());
    new ResizeObserver(([{ contentRect }]) => {
      const [before, top] = [this.#width, this.#lastTop];
      [this.#width, this.#height] = [contentRect.width, contentRect.height + 2 * PADDING];
      this.#measure();
      // Another view was shown, and browsers forget how far down this was.
      if (!before && top) this.element.scrollTop = top;
    }).observe(this.element);
  }

  /** One asset a line, or as many pictures as fit. */
  layout(name) {
    if (this.#list === (name === "list")) return;
    this.#list = name === "list";
    this.#canvas.classList.toggle("list", this.#list);
    this.#measure();
  }

  /** Marks the opened asset. */
  select(id) {
    this.#selected = id;
    this.#draw();
  }

  /** Puts the focus where it was last. */
  focus() {
    this.#go(this.#active, { look: false });
  }

  get #total() {
    return this.#rows.total ?? 0;
  }

  get #top() {
    return this.element.scrollTop - PADDING;
  }

  #measure() {
    if (!this.#width) return;
    const first = Math.round(Math.max(0, this.#top) / this.#rowHeight) * this.#columns;
    const before = `${this.#columns}/${this.#rowHeight}`;
    const narrow = this.#width < 520;
    const gap = narrow ? 10 : 14;
    const columns = this.#list
      ? 1
      : Math.max(narrow ? 2 : 1, Math.floor((this.#width + gap) / ((narrow ? 152 : 182) + gap)));
    const picture = Math.round(((this.#width - gap * (columns - 1)) / columns) * 0.74);
    this.#columns = columns;
    this.#rowHeight = this.#list ? LIST_ROW : picture + CAPTION + gap + 2;
    this.#canvas.style.setProperty("--columns", columns);
    this.#canvas.style.setProperty("--gap", `${gap}px`);
    this.#canvas.style.setProperty("--picture", this.#list ? "42px" : `${picture}px`);
    const lines = Math.ceil(this.#total / columns);
    this.#canvas.style.height = `${lines * this.#rowHeight}px`;
    set(this.#canvas, "aria-rowcount", lines);
    set(this.#canvas, "aria-colcount", columns);
    const other = before !== `${columns}/${this.#rowHeight}`;
    const focused = other && this.#canvas.contains(document.activeElement);
    if (other) {
      for (const row of this.#placed.values()) row.remove();
      this.#placed.clear();
      this.#free = [];
      if (first > 0) this.element.scrollTop = Math.floor(first / columns) * this.#rowHeight + PADDING;
    }
    this.#draw();
    if (focused) this.focus();
  }

  #scrolled() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.#width) return;
      const top = this.element.scrollTop;
      this.#flying = Math.abs(top - this.#lastTop) > FLYING * this.#height;
      this.#lastTop = top;
      this.#draw();
      this.#landed();
    });
  }

  #land() {
    this.#flying = false;
    this.#draw();
    this.#order();
  }

  /** Puts lines in their order for those who read them one by one; but moves none that has the focus. */
  #order() {
    if (this.#canvas.contains(document.activeElement)) return;
    const lines = [...this.#placed.keys()].sort((a, b) => a - b);
    const rows = [...lines.map((line) => this.#placed.get(line)), ...this.#free];
    if (rows.some((row, place) => this.#canvas.children[place] !== row)) this.#canvas.append(...rows);
  }

  #draw() {
    if (!this.#height) return;
    const lines = Math.ceil(this.#total / this.#columns);
    const first = Math.max(0, Math.floor(this.#top / this.#rowHeight) - BEYOND);
    const last = Math.min(lines - 1, Math.floor((this.#top + this.#height) / this.#rowHeight) + BEYOND);
    const focused = this.#canvas.contains(document.activeElement);
    const active = Math.floor(this.#active / this.#columns);
    // The line that has the focus stays: the focus must not jump.
    for (const [line, row] of this.#placed) {
      if ((line >= first && line <= last) || (focused && line === active && line < lines)) continue;
      this.#placed.delete(line);
      this.#free.push(row);
    }
    if (!focused && (active < first || active > last))
      this.#active = Math.min(lines - 1, first + BEYOND) * this.#columns;
    if (this.#active >= this.#total) this.#active = Math.max(0, this.#total - 1);
    for (let line = first; line <= last; line += 1) if (!this.#placed.has(line)) this.#place(line);
    for (const [line, row] of this.#placed) this.#fill(line, row);
    for (const row of this.#free) row.hidden = true;
    if (last >= first && !this.#flying)
      this.#rows.want(first * this.#columns, last * this.#columns + this.#columns - 1);
  }

  #place(line) {
    const row =
      this.#free.pop() ??
      this.#canvas.appendChild(
        h("div", { class: "row", role: "row" }, Array.from({ length: this.#columns }, makeCell)),
      );
    row.hidden = false;
    row.style.transform = `translateY(${line * this.#rowHeight}px)`;
    set(row, "aria-rowindex", line + 1);
    this.#placed.set(line, row);
  }

  #fill(line, row) {
    for (const [column, cell] of Array.from(row.children).entries()) {
      const index = line * this.#columns + column;
      const beyond = index >= this.#total;
      if (cell.hidden !== beyond) cell.hidden = beyond;
      if (beyond) continue;
      cell.index = index;
      const asset = this.#rows.at(index);
      fillCell(cell, asset, {
        settled: !this.#flying,
        selected: asset && this.#selected !== "" && idOf(asset) === this.#selected,
      });
      set(cell, "aria-colindex", column + 1);
      set(cell, "tabindex", index === this.#active ? "0" : "-1");
    }
  }

  #clicked(event) {
    const cell = event.target.closest(".cell");
    const asset = cell && assetIn(cell);
    if (!asset) return;
    this.#active = cell.index;
    if (event.target.closest(".copy")) this.#on.copy(asset);
    else {
      cell.focus({ preventScroll: true });
      this.#on.open(asset);
    }
    this.#draw();
  }

  #focused(event) {
    const cell = event.target.closest(".cell");
    if (!cell || cell.index === this.#active) return;
    this.#active = cell.index;
    this.#draw();
  }

  #pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const whole = Math.max(1, Math.floor(this.#height / this.#rowHeight)) * this.#columns;
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.#columns,
      ArrowDown: this.#columns,
      PageUp: -whole,
      PageDown: whole,
      Home: -this.#total,
      End: this.#total,
    };
    const asset = this.#rows.at(this.#active);
    if (event.key === "ArrowUp" && this.#active < this.#columns) return;
    if (event.key in steps) this.#go(this.#active + steps[event.key]);
    else if (event.target.closest("button")) return;
    else if ((event.key === "Enter" || event.key === " ") && asset) this.#on.open(asset);
    else if (event.key === "c" && asset) this.#on.copy(asset);
    else return;
    event.preventDefault();
  }

  #go(index, { look = true } = {}) {
    if (!this.#total) return;
    this.#active = Math.min(this.#total - 1, Math.max(0, index));
    const line = Math.floor(this.#active / this.#columns);
    const [top, bottom] = [line * this.#rowHeight + PADDING, (line + 1) * this.#rowHeight + PADDING];
    if (top < this.element.scrollTop + PADDING) this.element.scrollTop = top - PADDING;
    else if (bottom > this.element.scrollTop + this.#height) this.element.scrollTop = bottom - this.#height + PADDING;
    this.#draw();
    this.#placed.get(line)?.children[this.#active % this.#columns]?.focus({ preventScroll: true });
    if (look && this.#rows.at(this.#active)) this.#on.look(this.#rows.at(this.#active));
  }
}
