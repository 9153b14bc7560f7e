// Attention. Indices: n, the example; h, the head; i, the step of a query; j, a step of the context; c, a column
// of one head; v, a column of all heads together.

import { add, divide, formulas, multiply, range, squareRoot, subtract, sum, variable } from "../expressions.js";
import { entries, maskOf } from "../arrays.js";
import { softmaxOf } from "./distributions.js";
import { intermediate, oncePerCall } from "./intermediates.js";

/** Return the additive mask B, with a head h even if it is the same for all heads; or null. */
function additiveMask({ cache: { B } }) {
  if (!B) return null;
  return B.shape.length === 4 ? B : (n, h, i, j) => B(n, i, j);
}

/** Return the number below which an additive mask hides a step, a quarter of the lowest of its dtype. */
const lowestOf = ({ dtype }) => -0.25 * (dtype === "float32" ? 3.4028234663852886e38 : Number.MAX_VALUE);

/** Return a function that tells whether the query i sees the step j of the context in head h. */
function visibility({ trace, frame, options }, B) {
  const { x } = trace.steps[frame.step].layers[frame.layer];
  const lowest = lowestOf(trace.data);
  const mask = maskOf(Array.isArray(x) ? x[1] : x);
  return (n, h, i, j) => (!mask || Boolean(mask.at(n, j))) && (!options.causal || j <= i)
    && (!B || B(n, h, i, j).value() >= lowest);
}

/** Return the parameters named as in the derivation, such as W.query, which is Wq. */
const projectionsOf = (params, kind) => Object.fromEntries(Object.entries(params).map(([part, own]) =>
  [part, own[kind] && entries(kind + part[0], own[kind].array)]));

const attentionOf = (c) => oncePerCall(c, "attention", () => {
  const { X, C, K, V, P, m, A, Q: scaledQ } = c.cache;
  const [, heads, queries, d] = scaledQ.shape;
  const size = V.shape[3]; // of the values of one head; d is that of keys
  const [W, b, B] = [projectionsOf(c.params, "W"), projectionsOf(c.params, "b"), additiveMask(c)];
  const [sees, scale] = [visibility(c, B), c.options.scale ?? null]; // older traces have no scale
  const scaled = (product) => (scale === null ? divide(product, squareRoot(d)) : multiply(scale, product));
  const seen = (n, h, i) => range(K.shape[2]).filter((j) => sees(n, h, i, j));
  const seeing = (n, h, j) => range(queries).filter((i) => sees(n, h, i, j));
  const split = (v, columns) => [Math.floor(v / columns), v % columns];
  const joined = (h, column) => (Number.isInteger(column) ? h * size + column : column);
  const dropped = (...at) => (m ? [m(...at)] : []);
  const Q = (...at) => variable("Q", at, scaledQ(...at).value() / (scale ?? 1 / Math.sqrt(d)));
  const sumOfHead = (columns, term) => sum("c", columns, term);
  const S = intermediate("S", (n, h, i, j) => {
    const product = scaled(sumOfHead(d, (column) => multiply(Q(n, h, i, column), K(n, h, j, column))));
    return B ? add(product, B(n, h, i, j)) : product;
  });
  const rows = {};
  const weights = (n, h, i) => (rows[[n, h, i]] ??= softmaxOf("P", [n, h, i], (j) => S(n, h, i, j), seen(n, h, i)).p);
  const dA = intermediate("dA", (n, i, v) =>
    sum("f", c.y.shape[2], (f) => multiply(c.dy(n, i, f), W.output(v, f))));
  const dP = intermediate("dP", (n, h, i, j) =>
    multiply(sumOfHead(size, (column) => multiply(dA(n, i, joined(h, column)), V(n, h, j, column))), ...dropped(n, h, i, j)));
  const dS = intermediate("dS", (n, h, i, j) => multiply(P(n, h, i, j), subtract(dP(n, h, i, j),
    sumOfHead(size, (column) => multiply(dA(n, i, joined(h, column)), A(n, i, joined(h, column)))))));
  return {
    X, W, b, A, dS, heads, keyColumns: heads * d, valueColumns: heads * size, context: C ?? X, isCross: C !== null,
    explainedA: intermediate("A", (n, i, v) => {
      const [h, column] = split(v, size);
      const p = weights(n, h, i);
      return sum("j", seen(n, h, i), (j) => multiply(p(j), ...dropped(n, h, i, j), V(n, h, j, column)));
    }),
    dQ: intermediate("dQ", (n, i, v) => {
      const [h, column] = split(v, d);
      return scaled(sum("j", seen(n, h, i), (j) => multiply(dS(n, h, i, j), K(n, h, j, column))));
    }),
    dK: intermediate("dK", (n, j, v) => {
      const [h, column] = split(v, d);
      return scaled(sum("i", seeing(n, h, j), (i) => multiply(dS(n, h, i, j), Q(n, h, i, column))));
    }),
    dV: intermediate("dV", (n, j, v) => {
      const [h] = split(v, size);
      return sum("i", seeing(n, h, j), (i) => multiply(P(n, h, i, j), ...dropped(n, h, i, j), dA(n, i, v)));
    }),
  };
});

const sumOverSteps = (array, term) => sum(["n", "i"], array.shape.slice(0, 2), term);

/** Return the gradient of the weights of a projection, and that of its bias. */
const ofProjection = (input, gradient) => ({
  W(c, f, v) {
    const found = attentionOf(c);
    return sumOverSteps(found[input], (n, i) => multiply(found[input](n, i, f), found[gradient](n, i, v)));
  },
  b(c, v) {
    const found = attentionOf(c);
    return sumOverSteps(found[input], (n, i) => found[gradient](n, i, v));
  },
});
const [ofQuery, ofKey, ofValue] = [ofProjection("X", "dQ"), ofProjection("context", "dK"), ofProjection("context", "dV")];

formulas.MultiHeadAttention = {
  y(c, n, i, f) {
    const { explainedA, W, b, valueColumns } = attentionOf(c);
    const product = sum("v", valueColumns, (v) => multiply(explainedA(n, i, v), W.output(v, f)));
    return b.output ? add(product, b.output(f)) : product;
  },
  dx(c, ...at) {
    const { dQ, dK, dV, dS, W, heads, keyColumns, valueColumns, isCross } = attentionOf(c);
    const [n, t, f] = at;
    if (c.path === "2") return at.length === 4 ? dS(...at) : sum("h", heads, (h) => dS(n, h, t, f));
    const product = (columns, gradient, weights) =>
      sum("v", columns, (v) => multiply(gradient(n, t, v), weights(f, v)));
    const ofQueries = () => product(keyColumns, dQ, W.query);
    const ofContext = () => add(product(keyColumns, dK, W.key), product(valueColumns, dV, W.value));
    if (!isCross) return add(ofQueries(), ofContext());
    return c.path === "0" ? ofQueries() : ofContext();
  },
  gradients: {
    "query.W": ofQuery.W, "query.b": ofQuery.b, "key.W": ofKey.W, "value.W": ofValue.W, "value.b": ofValue.b,
    "output.W": (c, v, f) => sumOverSteps(c.dy, (n, i) => multiply(attentionOf(c).A(n, i, v), c.dy(n, i, f))),
    "output.b": (c, f) => sumOverSteps(c.dy, (n, i) => c.dy(n, i, f)),
  },
};
