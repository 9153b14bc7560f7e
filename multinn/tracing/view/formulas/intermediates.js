// Results on the way to others: each is worked out once, and explained by its definition where it is shown.

import { variable } from "../expressions.js";

const keptResults = new WeakMap();

/** Return what `compute` returned the first time for this owner and name. */
export function once(owner, name, compute) {
  if (!keptResults.has(owner)) keptResults.set(owner, new Map());
  const found = keptResults.get(owner);
  if (!found.has(name)) found.set(name, compute());
  return found.get(name);
}

/** Return the same for a layer's call, which several contexts can belong to. */
export const oncePerCall = ({ trace, frame }, name, compute) =>
  once(trace.steps[frame.step].layers[frame.layer], name, compute);

/** Return a variable with a definition, which is made only if it is asked for. */
export const explained = (leaf, define) => ({ ...leaf, get definition() { return define(); } });

/** Return a function from indices to a variable whose value is that of an expression, worked out once. */
export function intermediate(name, expression) {
  const numbers = {};
  return (...at) => {
    if (!at.every(Number.isInteger)) return variable(name, at, NaN);
    return explained(variable(name, at, numbers[at] ??= expression(...at).value()), () => expression(...at));
  };
}
