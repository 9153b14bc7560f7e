// A short network of rows of units, with the weights between them.

import { formatNumber, range } from "./expressions.js";
import { extremes, valuesOf } from "./arrays.js";
import { allDigits, html, shortened, svg, tint } from "./elements.js";

const MOST_UNITS = 8; // of a layer that are drawn
const MOST_TEXTS = 4; // units of a layer that have room for their numbers
const MOST_LABELS = 8; // of weights between two layers
const GAPS = { labels: 108, weights: 96, through: 36 }; // between two columns of units
const LABELS_AT = 0.36; // of the way from unit to unit

/** Return a drawing of a chain of layers with what is known, for one example. */
export function drawUnits(trace, step, chain, known, example) {
  const records = chain.map((layer) => step.layers[layer]);
  const columns = columnsOf(trace, records, chain, known, example);
  const place = layoutOf(columns, records);
  const { width, height, hasText } = place;
  const style = {
    "min-width": `${0.86 * width}px`, "max-width": `${1.15 * width}px`, "--mn-width": hasText ? "3px" : "1.6px",
  };
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(columns, known), style },
    records.flatMap((record, k) => edges(record, columns, k, known, chain[k], place)),
    columns.flatMap((column, k) => unitsOf(column, k, place)),
    lossOf(step.loss, columns, known, place));
  const legend = hasText ? "∂: the gradient of the loss."
    : "A dot beside a unit: its gradient is known. Of many units, the largest are drawn.";
  return html("div", {}, html("div", { class: "mn-scroll" }, drawn),
    html("p", { class: "mn-note" }, `Solid: positive. Dashed: negative. Dotted: not known yet. ${legend}`));
}

/**
 * Return the columns of units, of the input and of each output.
 *
 * Each has `values` and `gradient`, arrays of numbers, or null if they are not known yet; `shown`, the
 * indices of the units that are drawn; `count`, the number of all.
 */
function columnsOf(trace, records, chain, known, example) {
  const column = (title, array, gradient, { isKnown, isCurrent }) => ({
    title, array, isCurrent, count: array.shape[1],
    values: isKnown ? rowOf(array, example) : null, gradient: gradient ? rowOf(gradient, example) : null,
  });
  const first = records[0];
  const input = column("x", valuesOf(first.x), known.backward.has(chain[0]) && first.dx, { isKnown: true });
  const outputs = records.map((record, k) => {
    const layer = chain[k];
    const isBack = k + 1 < chain.length ? known.backward.has(chain[k + 1]) : known.loss;
    return column(trace.data.layers[layer].class, valuesOf(record.y), isBack && record.dy,
      { isKnown: known.forward.has(layer), isCurrent: known.frame.layer === layer });
  });
  return withShown([input, ...outputs], records);
}

function rowOf({ shape: [rows, count], numbers }, example) {
  const row = Math.min(example, rows - 1);
  return numbers.subarray(row * count, (row + 1) * count);
}

/** Add the units that are drawn to each column: the same ones through a layer without weights. */
function withShown(columns, records) {
  for (const [k, column] of [...columns.entries()].reverse()) {
    const next = columns[k + 1];
    const isSame = next && !records[k].params?.W && next.count === column.count;
    column.shown = isSame ? next.shown : largestUnits(column.array);
  }
  return columns;
}

function largestUnits({ numbers, shape: [, count] }) {
  const bySize = range(count).sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a]));
  return bySize.slice(0, MOST_UNITS).sort((a, b) => a - b);
}

/** Return where units are: x(column), y(column, unit), and half of their width and height. */
function layoutOf(columns, records) {
  const most = Math.max(...columns.map(({ shown }) => shown.length));
  const hasText = most <= MOST_TEXTS;
  const [wide, high, rowHeight, below] = hasText ? [31, 14, 76, 8] : [11, 11, 27, 0];
  const gap = (record, from, to) => {
    if (!weightsOf(record, from, to)) return GAPS.through;
    return hasText && from.shown.length * to.shown.length <= MOST_LABELS ? GAPS.labels : GAPS.weights;
  };
  const centres = [42];
  records.forEach((record, k) =>
    centres.push(centres[k] + Math.max(2 * wide + gap(record, columns[k], columns[k + 1]), 84)));
  centres.push(centres.at(-1) + wide + 70);
  const middle = 46 + (rowHeight * most) / 2 - below;
  return {
    wide, high, hasText, middle, width: centres.at(-1) + 38, height: 52 + rowHeight * most,
    x: (k) => centres[k], y: (k, at) => middle + rowHeight * (at + 0.5 - columns[k].shown.length / 2),
  };
}

/** Return the weights from one column to the next, or null for a layer without. */
function weightsOf({ params }, from, to) {
  const W = params?.W;
  return W?.shape.length === 2 && W.shape[0] === from.count && W.shape[1] === to.count ? W : null;
}

function unitsOf(column, k, place) {
  const { title, isCurrent, count, shown } = column;
  const heading = svg("text", { x: place.x(k), y: 18, class: `mn-title ${isCurrent ? "mn-current" : ""}` },
    shortened(title, 14), svg("title", {}, title));
  const note = count > shown.length ? `${shown.length} of ${count}` : "";
  return [
    heading, svg("text", { x: place.x(k), y: 34, class: "mn-small" }, note),
    ...shown.map((j, at) => unit(column, j, place.x(k), place.y(k, at), place)),
  ];
}

function unit({ title, array, values, gradient }, j, x, y, { wide, high, hasText }) {
  const look = values ? tint(values[j], extremes(array).size) : { class: "mn-unknown" };
  const text = (content, below, kind = "") => svg("text", { x, y: y + below, class: kind }, content);
  const number = (content) => text(content, 4, content.length > 8 ? "mn-small" : "");
  const words = values ? allDigits(values[j], array.dtype) : "not known yet";
  const gradientWords = gradient ? `; gradient ${allDigits(gradient[j], array.dtype)}` : "";
  const inside = hasText
    ? [values && number(formatNumber(values[j])), gradient && text(`∂ ${formatNumber(gradient[j])}`, 29, "mn-gradient")]
    : [text(j, 3.5, "mn-small"), gradient && svg("circle", { cx: x + 17, cy: y, r: 3, class: "mn-gradient" })];
  return svg("g", look,
    svg("rect", { x: x - wide, y: y - high, width: 2 * wide, height: 2 * high, rx: high }),
    svg("title", {}, `${title} ${j}: ${words}${gradientWords}`), inside);
}

/** Return the lines from one column to the next: weights, or what goes from unit to unit. */
function edges(record, columns, k, known, layer, { x, y, wide, hasText }) {
  const [from, to] = [columns[k], columns[k + 1]];
  const [left, right] = [x(k) + wide, x(k + 1) - wide];
  const line = (p, q, kind, share) => svg("line", {
    x1: left, y1: y(k, p), x2: right, y2: y(k + 1, q), style: { "--mn-share": share },
    class: `${kind} ${known.frame.layer === layer ? "mn-current" : ""}`,
  });
  const W = weightsOf(record, from, to);
  if (!W) return from.count === to.count ? from.shown.map((_, p) => line(p, p, "mn-through", 0)) : [];
  const weights = (known.update && record.params_after?.W) || W;
  const pairs = from.shown.flatMap((i, p) => to.shown.map((j, q) => ({ i, j, p, q, value: weights.at(i, j) })));
  const lines = pairs.map(({ p, q, value }) => {
    const { class: kind, style } = tint(value, extremes(W).size);
    return line(p, q, kind, style["--mn-share"]);
  });
  if (!hasText || pairs.length > MOST_LABELS) return lines;
  const gradient = known.backward.has(layer) ? record.gradients?.W : null;
  const heightOf = ({ p, q }) => y(k, p) + LABELS_AT * (y(k + 1, q) - y(k, p));
  return [...lines, ...labels(pairs, gradient, left + LABELS_AT * (right - left), heightOf)];
}

/** Return the labels of weights, one below the other, as near to their lines as there is room. */
function labels(pairs, gradient, x, heightOf) {
  const room = gradient ? 23 : 13;
  const placed = pairs.map((pair) => ({ ...pair, y: heightOf(pair) })).sort((a, b) => a.y - b.y);
  for (let k = 1; k < placed.length; k += 1) placed[k].y = Math.max(placed[k].y, placed[k - 1].y + room);
  const tooLow = placed.reduce((total, each) => total + each.y - heightOf(each), 0) / placed.length;
  const text = (y, kind, content) => svg("text", { x, y: y - tooLow, class: `mn-weight ${kind}` }, content);
  return placed.flatMap(({ i, j, value, y }) => [
    text(y + (gradient ? -2 : 4), "", formatNumber(value)),
    gradient ? text(y + 9, "mn-gradient", `∂ ${formatNumber(gradient.at(i, j))}`) : null,
  ]);
}

function lossOf({ value }, columns, known, { x, y, wide, middle }) {
  const [last, end] = [columns.length - 1, columns.length];
  const isCurrent = known.frame.kind === "loss" ? "mn-current" : "";
  const line = (p) => svg("line", {
    x1: x(last) + wide, y1: y(last, p), x2: x(end) - 31, y2: middle, class: `mn-through ${isCurrent}`,
  });
  return [
    ...columns[last].shown.map((_, p) => line(p)),
    svg("text", { x: x(end), y: 18, class: `mn-title ${isCurrent}` }, "loss"),
    svg("g", { class: known.loss ? "" : "mn-unknown" },
      svg("rect", { x: x(end) - 31, y: middle - 14, width: 62, height: 28, rx: 4 }),
      known.loss ? svg("text", { x: x(end), y: middle + 4 }, formatNumber(value.numbers[0])) : null),
  ];
}

function inWords(columns, known) {
  const parts = columns.map(({ title, values, count, shown, gradient }) => {
    const numbers = values ? shown.slice(0, 4).map((j) => formatNumber(values[j])).join(", ") : "not known yet";
    return `${title}, ${count} unit${count === 1 ? "" : "s"}: ${numbers}${gradient ? ", gradients known" : ""}`;
  });
  return `The network. ${parts.join(". ")}. The loss is ${known.loss ? "known" : "not known yet"}.`;
}
