import { add, define, divide, formulas, log, multiply, negate, power, range, stably, subtract, variable } from "../expressions.js";
import { probabilities, targetClass } from "./distributions.js";
import { meanOfPositions, shareOfPosition } from "./means.js";

/** Return [α], with the index of the target if there is one for each class; [] if there is none. */
function weightOfClass({ options: { alpha } }, t) {
  if (alpha === null) return [];
  if (typeof alpha === "number") return [variable("α", [], alpha)];
  return [variable("α", [t], Number(alpha.match(/[\d.e+-]+/g)[t]))]; // the text of a tuple of numbers
}

/** Return the target, and expressions: p; q = p_t; r = 1 - q; log q; and the factor α r^γ. */
function focus(c, at) {
  const t = targetClass(c, at);
  const { p, logP } = probabilities(c, at);
  const q = define("q", at, p(t));
  const others = () => range(c.y.shape.at(-1)).reduce((total, k) => total + (k === t ? 0 : p(k).value()), 0);
  const r = define("r", at, stably(subtract(1, q), others));
  const logQ = stably(log(q), () => (r.value() < 0.5 ? Math.log1p(-r.value()) : logP(t).value()));
  const gamma = variable("γ", [], c.options.gamma);
  return { t, p, q, r, logQ, gamma, factor: multiply(...weightOfClass(c, t), power(r, gamma)) };
}

formulas.Focal = {
  values: (c, n) => meanOfPositions(c.y, (...rest) => {
    const { factor, logQ } = focus(c, [n, ...rest]);
    return negate(multiply(factor, logQ));
  }),
  gradient(c, ...indices) {
    const [at, k] = [indices.slice(0, -1), indices.at(-1)];
    const { t, p, q, r, logQ, gamma, factor } = focus(c, at);
    const ratio = divide(negate(logQ), r); // it tends to 1 as r → 0
    const slope = define("c", at, stably(ratio, () => (r.value() > 0 ? -logQ.value() / r.value() : 1)));
    const error = k === t ? stably(subtract(p(k), 1), () => -r.value()) : p(k);
    return shareOfPosition(c.y, multiply(factor, add(1, multiply(gamma, q, slope)), error));
  },
};
