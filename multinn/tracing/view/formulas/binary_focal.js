import { cases, define, formulas, log, multiply, negate, power, stably, subtract, variable } from "../expressions.js";
import { entries } from "../arrays.js";
import { meanOfEntries, shareOfEntry } from "./means.js";
import { logistic } from "./sigmoid.js";

const byTarget = (t, one, zero) => cases(["if t = 1", t === 1, one], ["if t = 0", true, zero]);
const logSigma = (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** Return the expressions of the derivation for one entry: q, 1 - q, log q, γ, and the factor a (1 - q)^γ. */
function focusOfTwo(c, at) {
  const [t, z] = [c.t(...at).value(), entries("z", c.y.array)(...at)];
  const [alpha, gamma] = [variable("α", [], c.options.alpha), variable("γ", [], c.options.gamma)];
  const s = define("s", at, byTarget(t, z, negate(z)));
  const q = define("q", at, logistic(s));
  const rest = stably(subtract(1, q), () => logistic(negate(s)).value());
  const weight = c.options.alpha === null ? [] : [define("a", at, byTarget(t, alpha, subtract(1, alpha)))];
  const logQ = stably(log(q), () => logSigma(s.value()));
  return { t, q, rest, gamma, logQ, factor: multiply(...weight, power(rest, gamma)) };
}

formulas.BinaryFocal = {
  values: (c, n) => meanOfEntries(c.y, (...rest) => {
    const { factor, logQ } = focusOfTwo(c, [n, ...rest]);
    return negate(multiply(factor, logQ));
  }),
  gradient(c, ...at) {
    const { t, q, rest, gamma, logQ, factor } = focusOfTwo(c, at);
    const bySign = multiply(factor, subtract(rest, multiply(gamma, q, logQ)));
    return shareOfEntry(c.y, byTarget(t, negate(bySign), bySign));
  },
};
