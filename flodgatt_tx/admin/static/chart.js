// A small chart of the last minutes of one figure.

import { drawn } from "./dom.js";

const WIDTH = 120; // looks, one a second
const HEIGHT = 30;

export class Chart {
  constructor(name) {
    this.values = [];
    this.line = drawn("polyline", {});
    this.area = drawn("polygon", {});
    this.svg = drawn("svg", {
      class: "chart", viewBox: `0 0 ${WIDTH - 1} ${HEIGHT}`, preserveAspectRatio: "none",
      role: "img", "aria-label": `${name} over the last two minutes`,
    });
    this.svg.append(this.area, this.line);
  }

  /** Add what it is now; a look without a value leaves the line where it was. */
  add(value) {
    this.values.push(Number.isFinite(value) ? value : this.values.at(-1) ?? 0);
    if (this.values.length > WIDTH) this.values.shift();
    const most = Math.max(...this.values, 1e-9);
    const from = WIDTH - this.values.length;
    const points = this.values.map(
      (each, at) => `${from + at},${(HEIGHT - 1 - (each / most) * (HEIGHT - 3)).toFixed(2)}`);
    this.line.setAttribute("points", points.join(" "));
    const ends = [`${from},${HEIGHT}`, ...points, `${WIDTH - 1},${HEIGHT}`];
    this.area.setAttribute("points", ends.join(" "));
  }
}
