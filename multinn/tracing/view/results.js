// The results of a frame: each recorded array, and the formula of any of its entries.
//
// Formulas of a layer:      y(c, ...indices), dx(c, ...indices), gradients: { W(c, ...indices), ... }
// Formulas of a loss:       values(c, n), the loss of an example; gradient(c, n, ...indices); one of several outputs
//                           has value(c) and dy(c, ...indices)
// Formulas of an optimizer: params(c, ...indices), state: { m(c, ...indices), ... }; one that wraps another may
//                           have gradient(c, ...indices), which that one gets
// They return expressions. `c`, the context, has an entry for each recorded array. If x or y is a tuple or an
// object of arrays, `c.path` is the place of the array in it, such as "0" or "age", and `c.own(y)` is the entry of
// another one at that place; else `c.path` is "", and `c.own(y)` is y.

import { formulas, largestTerm, lazy } from "./expressions.js";
import { NumberArray, entryAt, extremes, headAt, labelled, leaves, maskOf, tree, withLabel } from "./arrays.js";
import { LOSS, lossContext, ofEntry } from "./losses.js";

/** Return what a formula of a layer sees: x, y, dy, dx, params, gradients, cache, state, options. */
export function layerContext(trace, frame) {
  const { x, y, dy, dx, params, gradients, cache, state } = trace.steps[frame.step].layers[frame.layer];
  return {
    x: labelled("x", x), mask: tree("mask", maskOf(x)), y: labelled("y", y),
    dy: labelled("dy", dy), dx: labelled("dx", dx), cache: tree("", cache), state: tree("", state),
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

/** Return the results for each array of a tree, or for the only one, whose path is "". */
const parts = (name, found, formula, context) => leaves(found).map(([path, array, keys]) => {
  const own = (other) => entryAt(other, keys);
  return result(withLabel(name, path), array, formula, { ...context, path, keys, own });
});

const RESULTS = {
  forward(trace, frame, own) {
    const record = trace.steps[frame.step].layers[frame.layer];
    const context = layerContext(trace, frame);
    return [
      ...parts("y", record.y, own.y, context),
      ...(own.mask ? [result("mask", maskOf(record.y), own.mask, context)] : []),
    ];
  },
  loss(trace, frame, own) {
    const { values, gradient, value, dy } = headAt(trace.steps[frame.step].loss, frame.head);
    const context = lossContext(trace, frame);
    const name = (letter) => withLabel(letter, context.label);
    return [
      result(name("l"), values, own.values && ofEntry(own.values), context),
      result(name("L"), value, own.value ?? LOSS.value, context),
      result(name("g"), gradient, own.gradient && ofEntry(own.gradient), context),
      ...parts(context.label ? name("dL") : "dy", dy, own.dy ?? LOSS.dy, context),
    ];
  },
  backward(trace, frame, own) {
    const record = trace.steps[frame.step].layers[frame.layer];
    const context = layerContext(trace, frame);
    const ownGradients = leaves(record.params).length ? leaves(record.gradients) : [];
    const inner = trace.data.layers.some((layer) => layer.parent === frame.layer);
    return [
      ...parts("dx", record.dx, own.dx, context),
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

/** Return the part that computes in a frame. */
export function partOf(trace, frame) {
  const { layers, loss, optimizers } = trace.data;
  if (frame.kind === "loss") return headAt(loss, frame.head);
  return frame.kind === "update" ? optimizers.at(-1) : layers[frame.layer];
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
