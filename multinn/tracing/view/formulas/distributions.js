// The softmax of a vector, as losses of classes and attention need it.

import { define, divide, exp, log, range, stably, sum } from "../expressions.js";
import { entries } from "../arrays.js";

/**
 * Return p = softmax(z) as { p, logP }, functions of an index.
 *
 * @param name the name of p.
 * @param at the indices of the vector.
 * @param z takes an index, or its name, and returns an expression.
 * @param indices the indices of the vector's entries.
 */
export function softmaxOf(name, at, z, indices) {
  let known;
  const numbers = () => {
    if (known) return known;
    const largest = indices.reduce((found, k) => Math.max(found, z(k).value()), -Infinity); // exp(z) might be infinite
    const total = indices.reduce((found, k) => found + Math.exp(z(k).value() - largest), 0);
    return (known = { largest, logTotal: Math.log(total) });
  };
  const logOf = (k) => z(k).value() - numbers().largest - numbers().logTotal;
  const total = sum("k", indices, (k) => exp(z(k)));
  const p = (k) => define(name, [...at, k], stably(divide(exp(z(k)), total), () => Math.exp(logOf(k))));
  return { p, logP: (k) => stably(log(p(k)), () => logOf(k)) };
}

/** Return the softmax of the logits z at a position of a loss. */
export function probabilities(c, at) {
  const z = entries("z", c.y.array);
  return softmaxOf("p", at, (k) => z(...at, k), range(z.shape.at(-1)));
}

/** Return the class that is the target at a position; "t" if the position is a name. */
export const targetClass = ({ t }, at) => (at.every(Number.isInteger) ? t.at(...at) : "t");
