// What a formula of a loss sees, and the formulas that all losses have: of L and of its gradient.

import { add, cases, define, divide, lazy, multiply, number, places, sum, variable } from "./expressions.js";
import { headAt, labelled, maskOf, tree, withLabel } from "./arrays.js";

/** Return what a formula of a loss sees; `label` is "" or, for a loss within `Heads`, the name of its output. */
export function lossContext(trace, { step, head }) {
  const { outputs, targets, weights, values, gradient, value, dy } = headAt(trace.steps[step].loss, head);
  const part = headAt(trace.data.loss, head);
  const label = head.join(".");
  const name = (letter) => withLabel(letter, label);
  const w = labelled(name("w"), weights);
  return {
    label, y: labelled(name("y"), outputs), mask: tree("mask", maskOf(outputs)), t: labelled(name("t"), targets), weights: w,
    values: tree(name("l"), values), gradient: tree(name("g"), gradient), value: variable(name("L"), [], value.numbers[0]),
    dy: labelled(label ? name("dL") : "dy", dy), options: part.hyperparameters, reduction: part.reduction,
    total: lazy(() => orOne(sumOver(w, w))),
    heads: () => Object.entries(part.heads).map(([key, { coefficient }]) =>
      [key, { ...lossContext(trace, { step, head: [...head, key] }), coefficient }]),
  };
}

/** The same sum of weights, or 1 where it is 0, as then no weight has a share. */
export const orOne = (total) => (total.value() > 0 ? total : number(1));

const NAMES = ["n", "j", "k", "l", "m"];

/** The sum of a term over all entries of an array. */
const sumOver = ({ shape }, term) =>
  (shape.length === 1 ? sum("n", shape[0], term) : sum(NAMES.slice(0, shape.length), shape, term));

/** Whether an entry has the class that is ignored as a target, in a loss that has values for entries. */
const isIgnored = ({ t, values, options }, at) => values.shape.length > 1 && Number.isInteger(options.ignored_class)
  && at.every(Number.isInteger) && t.at(...at) === options.ignored_class;

/**
 * Return the formula of a loss for each example; or for each entry, such as a step of a sequence, if the loss has
 * values for these, as with weights of entries. Then `c.y.entry` are the indices of the entry after the first.
 */
export const ofEntry = (formula) => (c, n, ...at) => {
  const entry = at.slice(0, c.values.shape.length - 1);
  if (!entry.length) return formula(c, n, ...at);
  const own = formula({ ...c, y: Object.assign((...indices) => c.y(...indices), c.y, { entry }) }, n, ...at);
  const recorded = at.length > entry.length ? c.gradient : c.values;
  return isIgnored(c, [n, ...entry]) ? cases(["if t is ignored: it does not count", true, recorded(n, ...at)]) : own;
};

export const productOf = (lengths) => lengths.reduce((product, length) => product * length, 1);

/** Return Σ w, times the number of entries of example n that count in its mean for each weight of the example. */
function sumOfShares(c, n) {
  const total = c.total();
  const [, ...entry] = c.values.shape;
  if (!entry.length) return total;
  const perExample = productOf(c.weights.shape.slice(1));
  const count = places(entry).filter((at) => !isIgnored(c, [n, ...at])).length || 1;
  if (Number.isInteger(c.options.ignored_class)) {
    return multiply(divide(variable("m", [n], count), perExample), total);
  }
  return count === perExample ? total : multiply(count / perExample, total);
}

/** Return an expression of an example, or of one entry of it, times its weight in the loss: 1 / N, or its share. */
function weighted(c, at, expression) {
  const isSum = c.reduction === "sum";
  if (!c.weights) return isSum ? expression : multiply(divide(1, c.y.shape[0]), expression);
  const own = c.weights(...at.slice(0, c.weights.shape.length));
  if (isSum) return multiply(own, expression);
  return isIgnored(c, at) ? number(0) : multiply(divide(own, sumOfShares(c, at[0])), expression);
}

export const LOSS = {
  value: (c) => sumOver(c.values, (...at) => weighted(c, at, c.values(...at))),
  dy: (c, ...indices) => weighted(c, indices.slice(0, c.values.shape.length), c.gradient(...indices)),
};

/** W, the sum of the weights of the examples: each is the mean over its entries, or over several outputs. */
export function sumOfWeights(weights, name) {
  const isArray = typeof weights === "function";
  const parts = isArray ? [] : Object.keys(weights).map((key) => sumOfWeights(weights[key], withLabel(name, key)));
  const total = isArray ? sumOver(weights, weights) : add(...parts);
  const count = isArray ? productOf(weights.shape.slice(1)) : parts.length;
  return define(name, [], count === 1 ? total : divide(total, count));
}
