import { add, cases, define, divide, formulas, log, multiply, negate, number, places, stably, subtract, sum, variable } from "../expressions.js";
import { probabilities, targetClass } from "./distributions.js";
import { meanOfPositions, shareOfPosition } from "./means.js";

/** Return the entries of the target, as one-hot vectors where it is a class. */
function targetEntries(c, at) {
  if (c.t.shape.length === c.y.shape.length) return (k) => c.t(...at, k);
  return (k) => variable("t", [...at, k], Number(k === targetClass(c, at)));
}

/** Return q, the target with label smoothing. */
function smoothed(c, at) {
  const [s, t] = [c.options.label_smoothing, targetEntries(c, at)];
  if (!s) return t;
  const symbol = variable("s", [], s);
  return (k) => define("q", [...at, k], add(multiply(subtract(1, symbol), t(k)), divide(symbol, c.y.shape.at(-1))));
}

function crossEntropy(c, at) {
  const { logP } = probabilities(c, at);
  if (c.t.shape.length < c.y.shape.length && !c.options.label_smoothing) return negate(logP(targetClass(c, at)));
  const q = smoothed(c, at);
  return negate(sum("k", c.y.shape.at(-1), (k) => multiply(q(k), logP(k))));
}

/** Return the positions of example n that count, or null if all do. */
function countedPositions({ y, t, options }, n) {
  if (options.ignored_class === null || y.entry) return null;
  return places(y.shape.slice(1, -1)).filter((at) => t.at(n, ...at) !== options.ignored_class);
}

formulas.SoftmaxCrossEntropy = {
  values(c, n) {
    const counted = countedPositions(c, n);
    if (!counted) return meanOfPositions(c.y, (...at) => crossEntropy(c, [n, ...at]));
    if (!counted.length) return number(0);
    return divide(sum("r", counted, (at) => crossEntropy(c, [n, ...[at].flat()])), counted.length);
  },
  gradient(c, ...indices) {
    const [at, j] = [indices.slice(0, -1), indices.at(-1)];
    const error = subtract(probabilities(c, at).p(j), smoothed(c, at)(j));
    const counted = countedPositions(c, at[0]);
    if (!counted) return shareOfPosition(c.y, error);
    const isIgnored = c.t.at(...at) === c.options.ignored_class;
    return cases(["if t is ignored", isIgnored, 0], ["else", true, divide(error, counted.length)]);
  },
};

/** t log(t / p), where 0 log 0 = 0. */
function divergence(t, p, logP) {
  const value = () => (t.value() > 0 ? t.value() * (Math.log(t.value()) - logP.value()) : 0);
  return stably(multiply(t, log(divide(t, p))), value);
}

formulas.KLDivergence = {
  values: (c, n) => meanOfPositions(c.y, (...rest) => {
    const [at, { p, logP }] = [[n, ...rest], probabilities(c, [n, ...rest])];
    return sum("k", c.y.shape.at(-1), (k) => divergence(c.t(...at, k), p(k), logP(k)));
  }),
  gradient(c, ...indices) {
    const { p } = probabilities(c, indices.slice(0, -1));
    return shareOfPosition(c.y, subtract(p(indices.at(-1)), c.t(...indices)));
  },
};
