// The results of a frame: each recorded array, and the formula of any of its entries.
//
// Formulas of a layer:      y(c, ...indices), dx(c, ...indices), gradients: { W(c, ...indices), ... }
// Formulas of a loss:       values(c, n), the loss of an example; gradient(c, n, ...indices)
// Formulas of an optimizer: params(c, ...indices), state: { m(c, ...indices), ... }; one that wraps another may
//                           have gradient(c, ...indices), which that one gets
// They return expressions. `c`, the context, has an entry for each recorded array. If x or y is a tuple of
// arrays, `c.path` is the number of the array in it; else it is "".

import { divide, formulas, largestTerm, lazy, multiply, number, sum } from "./expressions.js";
import { NumberArray, entries, extremes, maskOf, valuesOf } from "./arrays.js";

/** Return a tree of `NumberArray`s as a tree of functions from indices to variables. */
function tree(name, found) {
  const value = valuesOf(found);
  if (value === null || value === undefined) return value;
  if (value instanceof NumberArray) return entries(name, value);
  if (Array.isArray(value)) return value.map((child) => tree(name, child));
  return Object.fromEntries(Object.entries(value).map(([key, child]) =>
    [key, tree(name ? `${name}${key}` : key, child)]));
}

/** Return each array of a tree with its path, such as "0.W". */
export function leaves(found, path = "") {
  const value = valuesOf(found);
  if (value === null || value === undefined) return [];
  if (value instanceof NumberArray) return [[path, value]];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, path ? `${path}.${key}` : key));
}

/** Return what a formula of a layer sees: x, y, dy, dx, params, gradients, cache, state, options. */
export function layerContext(trace, frame) {
  const { x, y, dy, dx, params, gradients, cache, state } = trace.steps[frame.step].layers[frame.layer];
  return {
    x: tree("x", x), mask: tree("mask", maskOf(x)), y: tree("y", y),
    dy: tree("dy", dy), dx: tree("dx", dx), cache: tree("", cache), state: tree("", state),
    params: tree("", params), gradients: tree("d", gradients),
    options: trace.data.layers[frame.layer].hyperparameters, trace, frame,
    inner: innerLayers(trace, frame),
  };
}

class LeftOut extends Error {}

/** Return a context that throws `LeftOut` where a formula takes an entry that the trace leaves out. */
const guarded = (context) => new Proxy(context, {
  get(all, name) {
    if (name in all && all[name] === undefined) throw new LeftOut(name);
    return all[name];
  },
});

/** Return the contexts of the layers that a layer called, in the order of the calls. */
function innerLayers(trace, frame) {
  const { layers } = trace.data;
  return () => layers.flatMap((layer, index) =>
    (layer.parent === frame.layer ? [guarded(layerContext(trace, { ...frame, layer: index }))] : []));
}

/** Return what a formula of a loss sees. */
export function lossContext(trace, frame) {
  const { outputs, targets, weights, values, gradient, value, dy } = trace.steps[frame.step].loss;
  return {
    y: tree("y", outputs), mask: tree("mask", maskOf(outputs)), t: tree("t", targets), weights: tree("w", weights), values: tree("l", values),
    gradient: tree("g", gradient), value, dy: tree("dy", dy), options: trace.data.loss.hyperparameters,
    reduction: trace.data.loss.reduction,
  };
}

/** Return what a formula of an optimizer sees of the parameter with that path. */
export function updateContext(trace, frame, index, path) {
  const update = trace.steps[frame.step].updates[index];
  const at = (value) => Object.fromEntries(leaves(value))[path] ?? null;
  const states = (all) => Object.fromEntries(Object.keys(all ?? {}).map((name) =>
    [name, all[name] instanceof NumberArray ? tree(name, all[name]) : tree(name, at(all[name]))]));
  return {
    params: tree("θ", at(update.params)), paramsAfter: tree("θ′", at(update.params_after)),
    gradient: tree("g", at(update.gradients)), state: states(update.state), after: states(update.state_after),
    rate: tree("η", update.rate), options: trace.data.optimizers[index].hyperparameters, path, update,
    inner: () => updateContext(trace, frame, index - 1, path), // a wrapped optimizer returns right before
  };
}

/** Return an expression times the weight of example n in the loss: 1 / N, or its share of all weights. */
function weighted(c, n, expression) {
  const count = c.y.shape[0];
  const isSum = c.reduction === "sum";
  if (!c.weights) return isSum ? expression : multiply(divide(1, count), expression);
  if (isSum) return multiply(c.weights(n), expression);
  const total = sum("k", count, (k) => c.weights(k));
  return multiply(divide(c.weights(n), total.value() > 0 ? total : number(1)), expression);
}

const LOSS = {
  value: (c) => sum("n", c.values.shape[0], (n) => weighted(c, n, c.values(n))),
  dy: (c, n, ...indices) => weighted(c, n, c.gradient(n, ...indices)),
};

/** Return a result; whether its formula can be worked out is found when it is asked for. */
function result(name, array, formula, context) {
  const ofEntry = (...indices) => formula(guarded(context), ...indices);
  const found = lazy(() => [formula && array?.size && isKnown(ofEntry, array) ? ofEntry : undefined]);
  return { name, array, get formula() { return found()[0]; } };
}

/** Return whether the trace has what a formula takes. */
function isKnown(ofEntry, array) {
  try {
    ofEntry(...array.indicesOf(0)).symbols();
    return true;
  } catch (error) {
    // A formula of somebody's own may be wrong: the arrays are shown all the same.
    if (!(error instanceof LeftOut)) console.warn(`The formula cannot be worked out: ${error}`);
    return false;
  }
}

/** Return the result for one array of a tuple, or for the only one, whose path is "". */
const part = (name, path, array, formula, context) =>
  result(`${name} ${path}`.trim(), array, path.includes(".") ? null : formula, { ...context, path });

const RESULTS = {
  forward(trace, frame, own) {
    const record = trace.steps[frame.step].layers[frame.layer];
    const context = layerContext(trace, frame);
    return [
      ...leaves(record.y).map(([path, array]) => part("y", path, array, own.y, context)),
      ...(own.mask ? [result("mask", maskOf(record.y), own.mask, context)] : []),
    ];
  },
  loss(trace, frame, own) {
    const { values, gradient, value, dy } = trace.steps[frame.step].loss;
    const context = lossContext(trace, frame);
    return [
      result("l", values, own.values, context), result("L", value, LOSS.value, context),
      result("g", gradient, own.gradient, context), result("dy", dy, LOSS.dy, context),
    ];
  },
  backward(trace, frame, own) {
    const record = trace.steps[frame.step].layers[frame.layer];
    const context = layerContext(trace, frame);
    const ownGradients = leaves(record.params).length ? leaves(record.gradients) : [];
    const inner = trace.data.layers.some((layer) => layer.parent === frame.layer);
    return [
      ...leaves(record.dx).map(([path, array]) => part("dx", path, array, own.dx, context)),
      ...(inner ? [] : ownGradients).map(([path, array]) =>
        result(`d${path}`, array, own.gradients?.[path], context)),
    ];
  },
  update(trace, frame, own, parameter) {
    const found = [];
    trace.steps[frame.step].updates.forEach(({ params_after }, index) => {
      const paths = leaves(params_after).map(([path]) => path).filter((path) => path === (parameter ?? path));
      for (const each of paths.flatMap((path) => resultsOfUpdate(trace, frame, index, path))) {
        // A wrapper returns most arrays as the wrapped optimizer returned them.
        if (!found.some(({ name, array }) => name === each.name && array === each.array)) found.push(each);
      }
    });
    return found;
  },
};

/** Return the results for a parameter: the gradient if a wrapper changed it, the states, and the parameter. */
function resultsOfUpdate(trace, frame, index, path) {
  const formulasOf = (number) => formulas[trace.data.optimizers[number]?.class] ?? {};
  const [own, ofWrapper] = [formulasOf(index), formulasOf(index + 1)];
  const context = updateContext(trace, frame, index, path);
  const changed = ofWrapper.gradient ? [context.gradient.array] : [];
  const states = Object.entries(context.update.state_after ?? {}).flatMap(([name, state]) =>
    leaves(state).filter(([place]) => place === path).map(([, array]) => [name, array]));
  return [
    ...changed.map((array) =>
      result(`g of ${path}`, array, ofWrapper.gradient, updateContext(trace, frame, index + 1, path))),
    ...states.map(([name, array]) => result(`${name} of ${path}`, array, own.state?.[name], context)),
    result(path, context.paramsAfter.array, own.params, context),
  ];
}

/** Return the class of the part that computes in a frame. */
export function partOf(trace, frame) {
  const { layers, loss, optimizers } = trace.data;
  return { loss, update: optimizers.at(-1) }[frame.kind] ?? layers[frame.layer];
}

/**
 * Return the results of a frame: { name, array, formula }; in an update, those of one parameter if it is given.
 *
 * `formula` takes the indices of an entry and returns its expression; it is undefined where there is no
 * formula for the class, or the trace leaves out what it needs.
 */
export function resultsOf(trace, frame, parameter) {
  const own = formulas[partOf(trace, frame).class] ?? {};
  return RESULTS[frame.kind](trace, frame, own, parameter).filter(({ array }) => array);
}

/**
 * Return how far the recorded number at a place is from the value of its expression.
 *
 * The difference is relative to the largest number of the array, or to the largest term of the sum: terms that
 * cancel leave only what rounding makes of them.
 */
export function errorOf(array, place, expression) {
  const [value, recorded] = [expression.value(), array.numbers[place]];
  if (value === recorded) return 0; // also if both are infinite
  return Math.abs(value - recorded) / Math.max(extremes(array).size, largestTerm(expression));
}

/**
 * Work out each formula anew, for at most that many entries of each array.
 *
 * Return, for each result, the largest error of an entry, as `errorOf` measures it.
 */
export function check(trace, most = 50) {
  return trace.frames.flatMap((frame) => resultsOf(trace, frame).map(({ name, array, formula }) => {
    const place = { ...frame, class: partOf(trace, frame).class, name };
    if (!formula) return { ...place, error: null };
    const stride = Math.max(1, Math.floor(array.size / most));
    let error = 0;
    for (let k = 0; k < array.size; k += stride) {
      const found = errorOf(array, k, formula(...array.indicesOf(k)));
      error = found <= error ? error : found; // NaN counts
    }
    return { ...place, error };
  }));
}
