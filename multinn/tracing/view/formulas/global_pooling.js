import { cases, divide, formulas, largest, multiply, number, places, range, sum, variable } from "../expressions.js";

formulas.GlobalAveragePool2D = {
  y: ({ x }, n, c) =>
    divide(sum(["h", "w"], x.shape.slice(1, 3), (h, w) => x(n, h, w, c)), x.shape[1] * x.shape[2]),
  dx: ({ x, dy }, n, h, w, c) => divide(dy(n, c), x.shape[1] * x.shape[2]),
};

formulas.GlobalMaxPool2D = {
  y: ({ x }, n, c) => largest(["h", "w"], x.shape.slice(1, 3), (h, w) => x(n, h, w, c)),
  dx({ x, y, dy }, n, h, w, c) {
    const first = places(x.shape.slice(1, 3)).find((at) => x.at(n, ...at, c) === y.at(n, c));
    const isFirst = String(first) === String([h, w]);
    return multiply(dy(n, c), cases(["if x is the first maximum", isFirst, 1], ["else", true, 0]));
  },
};

/** Return the time steps of example n that count. */
const countedSteps = ({ x, mask }, n) => range(x.shape[1]).filter((t) => !mask || mask.at(n, t));

const maskEntry = ({ mask }, n, t) => variable("m", [n, t], mask.at(n, t));

formulas.GlobalAveragePool1D = {
  y(c, n, j) {
    const total = sum("t", c.x.shape[1], (t) =>
      (c.mask ? multiply(maskEntry(c, n, t), c.x(n, t, j)) : c.x(n, t, j)));
    return divide(total, Math.max(countedSteps(c, n).length, 1));
  },
  dx(c, n, t, j) {
    const above = c.mask ? multiply(c.dy(n, j), maskEntry(c, n, t)) : c.dy(n, j);
    return divide(above, Math.max(countedSteps(c, n).length, 1));
  },
};

formulas.GlobalMaxPool1D = {
  y(c, n, j) {
    const steps = countedSteps(c, n);
    return steps.length ? largest("t", steps, (t) => c.x(n, t, j)) : number(0);
  },
  dx(c, n, t, j) {
    const first = countedSteps(c, n).find((step) => c.x.at(n, step, j) === c.y.at(n, j));
    return multiply(c.dy(n, j), cases(["if x is the first maximum", t === first, 1], ["else", true, 0]));
  },
};
