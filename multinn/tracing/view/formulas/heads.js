import { add, divide, formulas, multiply, variable } from "../expressions.js";
import { entryAt, withLabel } from "../arrays.js";
import { orOne, sumOfWeights } from "../losses.js";

/** Return [c_k], the coefficient of a loss, or [] if it is 1; and W_k / W, if its output has weights of its own. */
function factorsOf(c, key, coefficient) {
  const own = coefficient === 1 ? [] : [variable(withLabel(withLabel("c", c.label), key), [], coefficient)];
  if (!c.weights || typeof c.weights === "function" || c.reduction === "sum") return own;
  const W = withLabel("W", c.label);
  return [...own, divide(sumOfWeights(c.weights[key], withLabel(W, key)), orOne(sumOfWeights(c.weights, W)))];
}

formulas.Heads = {
  value: (c) => add(...c.heads().flatMap(([key, { value, coefficient }]) =>
    (coefficient ? [multiply(...factorsOf(c, key, coefficient), value)] : []))),
  dy(c, ...at) {
    const [key, { dy, coefficient }] = c.heads().find(([key]) => key === String(c.keys[0]));
    return multiply(...factorsOf(c, key, coefficient), entryAt(dy, c.keys.slice(1))(...at));
  },
};
