// The network: its units where each layer has a row of them, otherwise its layers as boxes.

import { formatNumber } from "./expressions.js";
import { leaves, titleOf, valuesOf, withLabel } from "./arrays.js";
import { html, shapeText, shortened } from "./elements.js";
import { isDrawnAlone, planesOf } from "./planes.js";
import { heatMap } from "./drawing.js";
import { drawUnits } from "./units.js";

const MOST_LAYERS = 10; // whose units are drawn

/** Return a drawing of the network with what is known in a frame, for one example. */
export function drawNetwork(trace, number, example, go) {
  const known = knownAt(trace, number);
  const step = trace.steps[known.frame.step];
  const chain = chainOf(trace.data.layers, step);
  if (!chain) return drawBoxes(trace, step, known, example, go);
  return html("div", { class: "mn-units" }, drawImage(step.layers[0], example), drawUnits(trace, step, chain, known, example));
}

/** Return the input of an example as an image if its numbers fill a square, else null. */
function drawImage(record, example) {
  if (!isDrawnAlone(valuesOf(record.x))) return null;
  return html("figure", {},
    picture(record, "x", valuesOf(record.x), example), html("figcaption", { class: "mn-note" }, "x as an image"));
}

/** Return what is known in a frame: the layers and the heads of the loss that ran, all of the loss, and the update. */
function knownAt(trace, number) {
  const [frame, ran] = [trace.frames[number], { forward: new Set(), backward: new Set(), heads: new Set() }];
  const known = { ...ran, loss: false, update: false, frame };
  for (const { step, kind, layer, head } of trace.frames.slice(0, number + 1)) {
    if (step !== known.frame.step) continue;
    if (head?.length) known.heads.add(head.join("."));
    else if (layer === undefined) known[kind] = true;
    else known[kind].add(layer);
  }
  return known;
}

/** Return the layers of a short chain whose outputs are rows of units, or null. */
function chainOf(layers, step) {
  const isContainer = (index) => layers.some((layer) => layer.parent === index);
  if (layers.some((layer, index) => isContainer(index) && !layer.sequential)) return null;
  const chain = step.forward.filter((index) => !layers[index].sequential);
  const isRow = (array) => valuesOf(array)?.shape?.length === 2;
  const isDrawn = chain.length > 0 && chain.length <= MOST_LAYERS;
  return isDrawn && chain.every((index) => isRow(step.layers[index].x) && isRow(step.layers[index].y)) ? chain : null;
}

/** Return the layers as boxes, those of a container within its box. */
function drawBoxes(trace, step, known, example, go) {
  const { layers } = trace.data;
  const look = (isKnown, isCurrent) => `mn-layer ${isKnown ? "mn-known" : "mn-unknown"} ${isCurrent ? "mn-current" : ""}`;
  const inside = (parent) => layers.flatMap((layer, index) => (layer.parent === parent ? [box(index)] : []));
  const box = (index) => {
    const { branch } = layers[index];
    return branch ? html("div", {}, html("div", { class: "mn-note" }, shortened(branch, 20)), boxOf(index)) : boxOf(index);
  };
  const boxOf = (index) => {
    const inner = inside(index);
    const { sequential } = layers[index];
    const name = titleOf(layers[index]);
    if (sequential) return html("div", { class: "mn-chain", role: "group", "aria-label": name }, inner);
    const attributes = {
      class: look(known.forward.has(index), known.frame.layer === index), onclick: () => go(frameOf(trace, known, index)),
      tabindex: -1, "data-keep": `layer ${index}`, title: name, // the keyboard has the same in the row of frames
    };
    const title = html("b", {}, shortened(name, 20));
    const button = html("button", attributes, title, contents(step.layers[index], known, index, example));
    if (!inner.length) return button;
    return html("div", { class: "mn-container" }, button, html("div", { class: "mn-branches" }, inner));
  };
  const lossBox = ({ value }, keys, isKnown) =>
    html("span", { class: look(isKnown, known.frame.head?.join(".") === keys.join(".")) },
      html("b", {}, withLabel("loss", keys.join("."))), isKnown ? formatNumber(value.numbers[0]) : "?");
  const heads = Object.entries(step.loss.heads ?? {}).map(([key, head]) => lossBox(head, [key], known.heads.has(key)));
  const loss = lossBox(step.loss, [], known.loss);
  return html("div", { class: "mn-scroll mn-boxes", role: "group", "aria-label": "The layers of the network" },
    html("div", { class: "mn-chain" }, column(inputBoxes(step, example)), inside(layers[0].sequential ? 0 : null),
      column(heads), loss));
}

/** Return boxes one below the other; null if there are none. */
const column = (boxes) => (boxes.length ? html("div", { class: "mn-branches" }, boxes) : null);

/** Return a box for each input of the network that the trace has. */
const inputBoxes = ({ layers: [record] }, example) => leaves(record.x).map(([path, array]) =>
  html("span", { class: "mn-layer mn-known" },
    html("b", {}, withLabel("x", path)), html("span", {}, shapeText(array.shape.slice(1))),
    picture(record, `x ${path}`, array, example)));

/** Return the frame of a layer in the pass that is shown. */
function frameOf(trace, known, layer) {
  const kind = known.loss ? "backward" : "forward";
  return trace.frames.findIndex((frame) =>
    frame.step === known.frame.step && frame.kind === kind && frame.layer === layer);
}

/** Return the shape of each output, and small pictures of the output and its gradient where they are known. */
function contents(record, known, layer, example) {
  const gradients = Object.fromEntries(known.backward.has(layer) ? leaves(record.dy) : []);
  return leaves(record.y).flatMap(([path, array]) => [
    html("span", {}, path ? `${shortened(path, 16)}: ` : "", shapeText(array.shape.slice(1))),
    html("span", { class: "mn-pictures" },
      known.forward.has(layer) ? picture(record, `y ${path}`, array, example) : null,
      gradients[path] ? html("span", {}, "∂ ", picture(record, `dy ${path}`, gradients[path], example)) : null),
  ]);
}

const pictures = new WeakMap(); // of the records of layers, as drawing takes longer than moving

/** Return a small picture of an example of an array of a layer; the name tells it from the others. */
function picture(record, name, array, example) {
  if (!pictures.has(record)) pictures.set(record, {});
  return (pictures.get(record)[`${name} ${example}`] ??= drawPictureOf(array, example));
}

function drawPictureOf(array, example) {
  const row = Math.min(example, array.shape[0] - 1);
  const [plane] = planesOf(array, row, true);
  const isBatch = array.shape.length === 2 && plane.rows === array.shape[0];
  const canvas = heatMap(array, isBatch ? { ...plane, rows: 1, first: row * plane.down } : plane);
  canvas.setAttribute("aria-hidden", true);
  canvas.className = "mn-picture";
  return canvas;
}
