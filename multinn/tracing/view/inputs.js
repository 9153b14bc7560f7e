// The arrays from which a frame computes its results: { name, meaning, array }.
//
// `isParameter` tells arrays without an axis of examples; `edit` tells what may be changed, for `onEdit`.

import { NumberArray, headAt, leaves, maskOf, valuesOf, withLabel } from "./arrays.js";

/** Return each array of a tree; `more` is added to each, and its path to what may be changed. */
const all = (value, name, meaning, { edit, ...more } = {}) => leaves(value).map(([path, array]) =>
  ({ name: withLabel(name, path), meaning, array, edit: edit && { ...edit, path }, ...more }));

const INPUTS = {
  forward: (trace, frame) => {
    const { x, state } = recordOf(trace, frame);
    const isInput = valuesOf(x) === valuesOf(trace.steps[frame.step].layers[0].x);
    return [
      ...all(valuesOf(x), "x", "input", isInput ? { edit: { kind: "x", layer: frame.layer } } : {}),
      ...all(maskOf(x), "mask", "which entries count"),
      ...ownParameters(trace, frame),
      ...all(state, "state", "", { isParameter: true }),
    ];
  },
  loss: (trace, frame) => {
    const name = (letter) => withLabel(letter, frame.head.join("."));
    const { outputs, targets, weights, heads } = headAt(trace.steps[frame.step].loss, frame.head);
    if (heads) {
      const ofHeads = Object.entries(heads).flatMap(([key, { value, dy }]) => {
        const ofHead = (letter) => withLabel(name(letter), key);
        return [
          { name: ofHead("L"), meaning: "loss of one output", array: value, isParameter: true },
          ...all(dy, ofHead("dL"), "gradient of that loss"),
        ];
      });
      return [...ofHeads, ...all(weights, name("w"), "weights")];
    }
    return [
      ...all(outputs, name("y"), "outputs"),
      ...all(maskOf(outputs), "mask", "which entries count"),
      ...all(targets, name("t"), "targets", { edit: { kind: "targets", layer: null } }),
      ...all(weights, name("w"), "weights"),
    ];
  },
  backward: (trace, frame) => {
    const { x, dy } = recordOf(trace, frame);
    return [
      ...all(dy, "dy", "gradient of the output"), ...all(valuesOf(x), "x", "input"), ...ownParameters(trace, frame),
    ];
  },
  update: (trace, frame, parameter) => (parameter === undefined ? [] : trace.steps[frame.step].updates.flatMap(({ params, gradients, state, rate }, k) => {
    const { optimizers } = trace.data;
    const meaning = optimizers.length > 1 ? optimizers[k].class : "";
    const at = (value) => (value instanceof NumberArray ? value : Object.fromEntries(leaves(value))[parameter]);
    const found = [
      [`${parameterName(parameter)} before`, at(params)],
      ["gradient", at(gradients)],
      ...Object.entries(state ?? {}).map(([name, value]) => [`${name} before`, at(value)]),
      ["learning rate η", rate],
    ];
    return found.flatMap(([name, array]) => (array ? [{ name, meaning, array, isParameter: true }] : []));
  })),
};

const recordOf = (trace, { step, layer }) => trace.steps[step].layers[layer];

/** Return the parameters of a layer, unless they belong to layers within it. */
function ownParameters(trace, frame) {
  if (trace.data.layers.some(({ parent }) => parent === frame.layer)) return [];
  const edit = { kind: "params", layer: frame.layer };
  return all(recordOf(trace, frame).params, "", "parameter", { edit, isParameter: true });
}

/** Return the arrays from which a frame computes; in an update, those of one parameter. */
export const inputsOf = (trace, frame, parameter) => INPUTS[frame.kind](trace, frame, parameter);

/** Return the arrays that the forward pass has kept for a backward pass. */
export const cacheOf = (trace, frame) =>
  (frame.kind === "backward" ? all(recordOf(trace, frame).cache, "cache", "") : []);

/** Return the paths of all parameters that an update changes. */
export const parameterPaths = (trace, frame) =>
  leaves(trace.steps[frame.step].updates.at(-1).params).map(([path]) => path);

/** Return the name of a parameter in words: "0.W" is W of layer 1. */
export function parameterName(path) {
  const isNumber = (part) => /^\d+$/.test(part);
  const parts = path.split(".");
  const place = parts.filter(isNumber).map((part) => Number(part) + 1);
  const name = parts.filter((part) => !isNumber(part)).join(".");
  return place.length ? `${name} of layer ${place.join(".")}` : name;
}
