import { cases, divide, formulas, largest, multiply, places, sum, variable } from "../expressions.js";
import { placeNames, windowsOn } from "./windows.js";

/** Return functions of the windows on x. */
function pooling({ x, y, options: { pool_size: size, stride, padding, dilation } }) {
  const axes = windowsOn(x, y, { size, stride: stride ?? size, padding, dilation });
  const names = placeNames(axes.length);
  return {
    /** The number of places of a window that lie on x or its padding. */
    countOf: (window) => axes.reduce((product, axis, k) => product * axis.countOf(window[k]), 1),
    /** The places of a window that do not lie on the padding, along each axis. */
    placesOf: (window) => axes.map((axis, k) => axis.placesOf(window[k])),
    entry: (n, window, place, c) => x(n, ...axes.map((axis, k) => axis.position(window[k], place[k])), c),
    /** The sum of a term over the windows that contain an entry of x; it takes a window and a place in it. */
    overWindows: (at, term) => sum(names, axes.map((axis, k) => axis.placesAt(at[k])), (...place) =>
      term(axes.map((axis, k) => axis.window(at[k], place[k])), place)),
    /** The sum, or another function such as `largest`, of the entries of a window. */
    overEntries(total, n, window, c) {
      return total(names, this.placesOf(window), (...place) => this.entry(n, window, place, c));
    },
  };
}

const splitIndices = ([n, ...rest]) => [n, rest.slice(0, -1), rest.at(-1)];

formulas.MaxPool2D = {
  y(context, ...at) {
    const [n, window, c] = splitIndices(at);
    return pooling(context).overEntries(largest, n, window, c);
  },
  dx(context, ...indices) {
    const [n, at, c] = splitIndices(indices);
    const pool = pooling(context);
    const isFirst = (window, place) => {
      const y = context.y.at(n, ...window, c);
      const first = places(pool.placesOf(window)).find((other) => pool.entry(n, window, other, c).value() === y);
      return String(first) === String(place);
    };
    return pool.overWindows(at, (window, place) => {
      const known = window.every(Number.isInteger);
      const taken = cases(["if x is the first maximum", known && isFirst(window, place), 1], ["else", true, 0]);
      return multiply(context.dy(n, ...window, c), taken);
    });
  },
};
formulas.MaxPool1D = formulas.MaxPool2D;

/** Return the number n of entries of a window, with ``count_padding`` together with the padding. */
function entriesIn(pool, { options }, window) {
  if (options.count_padding) return pool.countOf(window);
  return pool.placesOf(window).reduce((product, found) => product * found.length, 1);
}

formulas.AveragePool2D = {
  y(context, ...at) {
    const [n, window, c] = splitIndices(at);
    const pool = pooling(context);
    return divide(pool.overEntries(sum, n, window, c), entriesIn(pool, context, window));
  },
  dx(context, ...indices) {
    const [n, at, c] = splitIndices(indices);
    const pool = pooling(context);
    return pool.overWindows(at, (window) => {
      const count = window.every(Number.isInteger) ? entriesIn(pool, context, window) : NaN;
      return divide(context.dy(n, ...window, c), variable("n", window, count));
    });
  },
};
formulas.AveragePool1D = formulas.AveragePool2D;
