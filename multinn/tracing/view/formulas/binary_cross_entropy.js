import { add, define, formulas, log, multiply, negate, stably, subtract } from "../expressions.js";
import { entries } from "../arrays.js";
import { meanOfEntries, shareOfEntry } from "./means.js";
import { logistic } from "./sigmoid.js";

const probability = (c, at) => define("p", at, logistic(entries("z", c.y.array)(...at)));

/** -(t log p + (1 - t) log(1 - p)) = softplus(z) - t z. */
function crossEntropyOfTwo(c, at) {
  const [p, t] = [probability(c, at), c.t(...at)];
  const textbook = negate(add(multiply(t, log(p)), multiply(subtract(1, t), log(subtract(1, p)))));
  const z = c.y(...at).value();
  return stably(textbook, () => Math.max(z, 0) - t.value() * z + Math.log1p(Math.exp(-Math.abs(z))));
}

formulas.BinaryCrossEntropy = {
  values: (c, n) => meanOfEntries(c.y, (...at) => crossEntropyOfTwo(c, [n, ...at])),
  gradient: (c, ...at) => shareOfEntry(c.y, subtract(probability(c, at), c.t(...at))),
};
