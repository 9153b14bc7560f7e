// The network: its units where each layer has a row of them, otherwise its layers as boxes.

import { formatNumber, range } from "./expressions.js";
import { valuesOf } from "./arrays.js";
import { heatMap, planesOf } from "./drawing.js";
import { allDigits, extremes, html, shapeText, svg, tint } from "./elements.js";

const MOST_UNITS = 8, MOST_LAYERS = 10;
const MOST_LABELS = 8; // of weights between two layers
const GAPS = { labels: 108, weights: 96, through: 36 }; // between two columns of units

/** Return what is known in a frame: the layers that ran in each pass, whether the loss did, and the update. */
export function knownAt(trace, number) {
  const known = { forward: new Set(), backward: new Set(), loss: false, update: false, frame: trace.frames[number] };
  for (const { step, kind, layer } of trace.frames.slice(0, number + 1)) {
    if (step !== known.frame.step) continue;
    if (layer === undefined) known[kind] = true;
    else known[kind].add(layer);
  }
  return known;
}

/** Return a drawing of the network with what is known in a frame, for one example. */
export function drawNetwork(trace, number, example, go) {
  const known = knownAt(trace, number);
  const step = trace.steps[known.frame.step];
  const chain = chainOf(trace.data.layers, step);
  return chain ? units(trace, step, chain, known, example) : boxes(trace, step, known, example, go);
}

/** Return the layers of a short chain whose outputs are rows of units, or null. */
function chainOf(layers, step) {
  const isContainer = (index) => layers.some((layer) => layer.parent === index);
  if (layers.some((layer, index) => isContainer(index) && !layer.sequential)) return null;
  const chain = step.forward.filter((index) => !layers[index].sequential);
  const isRow = (array) => valuesOf(array)?.shape?.length === 2;
  const fits = chain.length <= MOST_LAYERS && chain.every((index) => isRow(step.layers[index].x) && isRow(step.layers[index].y));
  return fits && chain.length ? chain : null;
}

/** Return the columns of units: the input and each output, with their gradients where they are known. */
function columnsOf(trace, step, chain, known, example) {
  const row = ({ shape, numbers }) => numbers.subarray(Math.min(example, shape[0] - 1) * shape[1]).subarray(0, shape[1]);
  const column = (title, values, gradient, isKnown, isCurrent) => ({
    title, isCurrent, array: values, values: isKnown ? row(values) : null, gradient: gradient && row(gradient), count: values.shape[1],
  });
  const isAt = (layer) => known.frame.layer === layer;
  const records = chain.map((layer) => step.layers[layer]);
  const columns = records.map((record, k) => {
    const isBack = k + 1 < chain.length ? known.backward.has(chain[k + 1]) : known.loss;
    return column(trace.data.layers[chain[k]].class, valuesOf(record.y), isBack ? record.dy : null, known.forward.has(chain[k]), isAt(chain[k]));
  });
  const input = column("x", valuesOf(records[0].x), known.backward.has(chain[0]) ? records[0].dx : null, true, false);
  return withShown([input, ...columns], records);
}

/** Add the units that are drawn to each column: the largest ones, the same ones through a layer without weights. */
function withShown(columns, records) {
  for (let k = columns.length - 1; k >= 0; k -= 1) {
    const next = columns[k + 1];
    const isSame = next && !records[k].params?.W && next.count === columns[k].count;
    columns[k].shown = isSame ? next.shown : largestUnits(columns[k].array);
  }
  return columns;
}

function largestUnits({ numbers, shape: [, count] }) {
  if (count <= MOST_UNITS) return range(count);
  return range(count).sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a])).slice(0, MOST_UNITS).sort((a, b) => a - b);
}

/** Return a drawing of units and the weights between them. */
function units(trace, step, chain, known, example) {
  const columns = columnsOf(trace, step, chain, known, example);
  const records = chain.map((layer) => step.layers[layer]);
  const place = layoutOf(columns, records);
  const { width, height, hasText } = place;
  const drawn = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(columns, known),
    style: { "min-width": `${0.8 * width}px`, "max-width": `${1.15 * width}px`, "--mn-width": hasText ? "3px" : "1.6px" },
  });
  records.forEach((record, k) => drawn.append(...edges(record, columns, k, known, chain[k], place)));
  columns.forEach((column, k) => drawn.append(...unitsOf(column, k, place)));
  drawn.append(...lossOf(step, columns.at(-1), columns.length - 1, known, place));
  return html("div", {}, html("div", { class: "mn-scroll" }, drawn), html("p", { class: "mn-note" },
    "Solid: positive. Dashed: negative. Dotted: not known yet. ",
    hasText ? "∂: the gradient of the loss." : "A dot beside a unit: its gradient is known. The largest units are drawn."));
}

/** Return where units are: x(column), y(column, unit), and half of their width and height. */
function layoutOf(columns, records) {
  const most = Math.max(...columns.map(({ shown }) => shown.length));
  const hasText = most <= 4;
  const [wide, high] = hasText ? [31, 14] : [11, 11];
  const centres = [Math.max(wide, 42)];
  records.forEach((record, k) => {
    const isLabelled = hasText && columns[k].shown.length * columns[k + 1].shown.length <= MOST_LABELS;
    const gap = !weightsOf(record, columns[k], columns[k + 1]) ? GAPS.through : isLabelled ? GAPS.labels : GAPS.weights;
    centres.push(centres[k] + Math.max(2 * wide + gap, 84));
  });
  centres.push(centres.at(-1) + wide + 70);
  const rowHeight = hasText ? 76 : 27;
  const middle = 46 + (rowHeight * most) / 2;
  return {
    wide, high, hasText, middle: hasText ? middle - 8 : middle, width: centres.at(-1) + 38, height: 52 + rowHeight * most,
    x: (k) => centres[k],
    y: (k, at) => middle + rowHeight * (at + 0.5 - columns[k].shown.length / 2) - (hasText ? 8 : 0),
  };
}

/** Return the weights from one column to the next, or null for a layer without. */
function weightsOf({ params }, from, to) {
  const W = params?.W;
  return W?.shape.length === 2 && W.shape[0] === from.count && W.shape[1] === to.count ? W : null;
}

function unitsOf({ title, isCurrent, values, gradient, count, shown, array }, k, { x, y, wide, high, hasText }) {
  const { size } = extremes(array);
  const unit = (j, at) => {
    const value = values?.[j];
    const look = values ? tint(value, size) : { class: "mn-unknown" };
    const text = (content, below, kind) => svg("text", { x: x(k), y: y(k, at) + below, class: kind }, content);
    const about = values ? `${title} ${j}: ${allDigits(value, array.dtype)}` : `${title} ${j}: not known yet`;
    return svg("g", look,
      svg("rect", { x: x(k) - wide, y: y(k, at) - high, width: 2 * wide, height: 2 * high, rx: high }),
      svg("title", {}, gradient ? `${about}; gradient ${allDigits(gradient[j], array.dtype)}` : about),
      hasText && values ? text(formatNumber(value), 4, "") : null,
      hasText && gradient ? text(`∂ ${formatNumber(gradient[j])}`, 29, "mn-gradient") : null,
      !hasText && gradient ? svg("circle", { cx: x(k) + 17, cy: y(k, at), r: 3, class: "mn-gradient" }) : null,
      !hasText ? text(j, 3.5, "mn-small") : null);
  };
  const note = count > shown.length ? svg("text", { x: x(k), y: 34, class: "mn-small" }, `${shown.length} of ${count}`) : null;
  return [svg("text", { x: x(k), y: 18, class: isCurrent ? "mn-title mn-current" : "mn-title" }, title), note, ...shown.map(unit)].filter(Boolean);
}

/** Return the lines from one column to the next: weights, or what goes from unit to unit. */
function edges(record, columns, k, known, layer, { x, y, wide, hasText }) {
  const [from, to] = [columns[k], columns[k + 1]];
  const isCurrent = known.frame.layer === layer ? "mn-current" : "";
  const [left, right] = [x(k) + wide, x(k + 1) - wide];
  const line = (p, q, kind, share) =>
    svg("line", { x1: left, y1: y(k, p), x2: right, y2: y(k + 1, q), class: `${kind} ${isCurrent}`, style: { "--mn-share": share } });
  const W = weightsOf(record, from, to);
  if (!W) return from.count === to.count ? from.shown.map((_, p) => line(p, p, "mn-through", 0)) : [];
  const weights = (known.update && record.params_after?.W) || W;
  const { size } = extremes(W);
  const pairs = from.shown.flatMap((i, p) => to.shown.map((j, q) => ({ i, j, p, q, value: weights.at(i, j) })));
  const lines = pairs.map(({ p, q, value }) => line(p, q, tint(value, size).class, Math.min(1, Math.abs(value) / size || 0)));
  if (!hasText || pairs.length > MOST_LABELS) return lines;
  const gradient = known.backward.has(layer) ? record.gradients?.W : null;
  return [...lines, ...labels(pairs, gradient, left + 0.36 * (right - left), ({ p, q }) => y(k, p) + 0.36 * (y(k + 1, q) - y(k, p)))];
}

/** Return the labels of weights, one below the other, as near to their lines as there is room. */
function labels(pairs, gradient, x, heightOf) {
  const room = gradient ? 23 : 13;
  const placed = pairs.map((pair) => ({ ...pair, y: heightOf(pair) })).sort((a, b) => a.y - b.y);
  placed.forEach((each, k) => { if (k) each.y = Math.max(each.y, placed[k - 1].y + room); });
  const over = placed.reduce((total, each) => total + each.y - heightOf(each), 0) / placed.length;
  return placed.flatMap(({ i, j, value, y }) => [
    svg("text", { x, y: y - over + (gradient ? -2 : 4), class: "mn-weight" }, formatNumber(value)),
    ...(gradient ? [svg("text", { x, y: y - over + 9, class: "mn-weight mn-gradient" }, `∂ ${formatNumber(gradient.at(i, j))}`)] : []),
  ]);
}

function lossOf({ loss }, last, k, known, { x, y, wide, middle }) {
  const isCurrent = known.frame.kind === "loss" ? "mn-current" : "";
  return [
    ...last.shown.map((_, p) => svg("line", { x1: x(k) + wide, y1: y(k, p), x2: x(k + 1) - 31, y2: middle, class: `mn-through ${isCurrent}` })),
    svg("text", { x: x(k + 1), y: 18, class: `mn-title ${isCurrent}` }, "loss"),
    svg("g", { class: known.loss ? "mn-loss" : "mn-unknown" },
      svg("rect", { x: x(k + 1) - 31, y: middle - 14, width: 62, height: 28, rx: 4 }),
      known.loss ? svg("text", { x: x(k + 1), y: middle + 4 }, formatNumber(loss.value.numbers[0])) : null),
  ];
}

function inWords(columns, known) {
  const parts = columns.map(({ title, values, count, shown, gradient }) => {
    const numbers = values ? shown.slice(0, 4).map((j) => formatNumber(values[j])).join(", ") : "not known yet";
    return `${title}, ${count} unit${count === 1 ? "" : "s"}: ${numbers}${gradient ? ", gradients known" : ""}`;
  });
  return `The network. ${parts.join(". ")}. The loss is ${known.loss ? "known" : "not known yet"}.`;
}

/** Return the layers as boxes, those of a container within its box. */
function boxes(trace, step, known, example, go) {
  const { layers } = trace.data;
  const frameOf = (layer) => {
    const kind = known.loss ? "backward" : "forward";
    return trace.frames.findIndex((frame) => frame.step === known.frame.step && frame.kind === kind && frame.layer === layer);
  };
  const inside = (parent) => layers.flatMap((layer, index) => (layer.parent === parent ? [box(index)] : []));
  const box = (index) => {
    const inner = inside(index);
    const { class: name, sequential } = layers[index];
    const state = `${known.forward.has(index) ? "mn-known" : "mn-unknown"} ${known.frame.layer === index ? "mn-current" : ""}`;
    if (sequential) return html("div", { class: "mn-chain", role: "group", "aria-label": name }, inner);
    const button = html("button", { class: `mn-layer ${state}`, onclick: () => go(frameOf(index)) },
      html("b", {}, name), ...contents(step.layers[index], known, index, example));
    return inner.length ? html("div", { class: "mn-container" }, button, html("div", { class: "mn-branches" }, inner)) : button;
  };
  const loss = html("span", { class: `mn-layer ${known.loss ? "mn-known" : "mn-unknown"} ${known.frame.kind === "loss" ? "mn-current" : ""}` },
    html("b", {}, "loss"), known.loss ? formatNumber(step.loss.value.numbers[0]) : "?");
  const outer = inside(layers[0].sequential ? 0 : null);
  return html("div", { class: "mn-scroll mn-boxes", role: "group", "aria-label": "The layers of the network" },
    html("div", { class: "mn-chain" }, outer, loss));
}

/** Return the shape of an output, and small pictures of the output and its gradient where they are known. */
function contents({ y, dy }, known, layer, example) {
  const values = valuesOf(y);
  if (!values?.shape) return [];
  const back = dy?.shape && known.backward.has(layer) ? dy : null;
  return [
    html("span", {}, shapeText(values.shape.slice(1))),
    html("span", { class: "mn-pictures" }, known.forward.has(layer) ? picture(values, example) : null, back ? html("span", {}, "∂ ", picture(back, example)) : null),
  ];
}

/** Return a small picture of an example of an array. */
function picture(array, example) {
  const row = Math.min(example, array.shape[0] - 1);
  const [plane] = planesOf(array, row, true);
  const isBatch = array.shape.length === 2 && plane.rows === array.shape[0];
  const canvas = heatMap(array, isBatch ? { ...plane, rows: 1, first: row * plane.down } : plane);
  canvas.setAttribute("aria-hidden", true);
  return canvas;
}
