// A chart of a few figures over the last minutes, with their present values as text beside it.
//
// Lines are told apart by their dashes too, not by colour alone. Where there is nothing to be drawn it says so.

import { drawing, element } from "./elements.js";

/** How many samples are shown. */
const SAMPLES = 120;
const WIDTH = 600;
const HEIGHT = 120;
/** Room above and below, so that a line at an end of the scale is seen. */
const MARGIN = 3;

/** A round number that is no smaller: 1, 2 or 5 times a power of ten, of units that are powers of `base`. */
function roundUp(number, base) {
  const unit = base ** Math.floor(Math.log(number) / Math.log(base));
  const power = 10 ** Math.floor(Math.log10(number / unit)) * unit;
  return [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= number * 0.999);
}

export class Chart {
  /**
   * `series` are the lines' names; `format` makes a value readable; `top` is the upper end of the scale where it is
   * always the same; with a `bottom` the scale is logarithmic from there on; `base` is what makes the next larger unit.
   */
  constructor({ title, note, series, format, top = null, bottom = null, base = 1000 }) {
    Object.assign(this, { format, top, bottom, base });
    this.samples = [];
    this.lines = series.map((_, place) =>
      drawing("polyline", { class: `line line-${place}`, "vector-effect": "non-scaling-stroke" }),
    );
    this.values = series.map(() => element("dd", {}, "no data"));
    const legend = series.map((name, place) =>
      element("div", {}, element("dt", { className: `key key-${place}` }, name), this.values[place]),
    );
    this.scale = element("span", { className: "scale" });
    this.empty = element("span", { className: "no-data" }, "no data");
    const grid = [0.25, 0.5, 0.75].map((part) =>
      drawing("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }),
    );
    this.drawing = drawing("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    this.drawing.append(...grid, ...this.lines);
    this.figure = element(
      "figure",
      { className: "chart" },
      element("figcaption", {}, element("h2", {}, title), element("p", { className: "note" }, note)),
      element("dl", {}, ...legend),
      element("div", { className: "plot" }, this.drawing, this.scale, this.empty),
    );
  }

  /** Adds a value for each line; null for one that there is none of. */
  add(values) {
    this.samples.push(values);
    if (this.samples.length > SAMPLES) {
      this.samples.shift();
    }
    for (const [place, value] of values.entries()) {
      this.values[place].textContent = value === null ? "no data" : this.format(value);
    }
  }

  /** Draws what there is now. */
  draw() {
    const known = this.samples.flat().filter((value) => value !== null);
    this.empty.hidden = known.length > 0;
    const highest = Math.max(0, ...known);
    const top = this.top ?? (highest > 0 ? roundUp(highest * 1.02, this.base) : 1);
    const note = this.bottom === null ? "" : `, logarithmic from ${this.format(this.bottom)}`;
    const scale = this.format(top) + note;
    this.scale.textContent = known.length > 0 ? scale : "";
    for (const [place, line] of this.lines.entries()) {
      line.setAttribute("points", this.points(place, top));
    }
  }

  /** How far up a value stands, from 0 to 1. */
  part(value, top) {
    const steps = (number) => Math.log(number / this.bottom);
    const part = this.bottom === null ? value / top : steps(Math.max(value, this.bottom)) / steps(top);
    return Math.min(1, Math.max(0, part));
  }

  points(place, top) {
    const step = WIDTH / (SAMPLES - 1);
    const offset = SAMPLES - this.samples.length;
    const points = [];
    for (const [at, values] of this.samples.entries()) {
      if (values[place] !== null) {
        const x = (offset + at) * step;
        const y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * this.part(values[place], top);
        points.push(`${x.toFixed(1)},${y.toFixed(1)}`);
      }
    }
    if (points.length === 1) {
      // One point alone would not be seen.
      points.push(`${WIDTH},${points[0].split(",")[1]}`);
    }
    return points.join(" ");
  }
}
