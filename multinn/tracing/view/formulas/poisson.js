import { add, apply, exp, formulas, multiply, subtract } from "../expressions.js";
import { entries } from "../arrays.js";
import { meanOfEntries, shareOfEntry } from "./means.js";

// B_2k / (2k (2k - 1)) of the Bernoulli numbers, k from 1.
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];

/** log Γ(x) for x > 0, by Stirling's series, which is exact to rounding for x ≥ 8. */
function logGamma(x) {
  if (x < 8) return logGamma(x + 1) - Math.log(x);
  const series = STIRLING.reduceRight((total, coefficient) => total / (x * x) + coefficient, 0);
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series / x;
}

const logRates = (c) => entries("z", c.y.array);

formulas.Poisson = {
  values: (c, n) => meanOfEntries(c.y, (...rest) => {
    const [z, t] = [logRates(c)(n, ...rest), c.t(n, ...rest)];
    const term = subtract(exp(z), multiply(t, z));
    return c.options.full ? add(term, apply("log Γ", logGamma, add(t, 1))) : term;
  }),
  gradient: (c, ...at) => shareOfEntry(c.y, subtract(exp(logRates(c)(...at)), c.t(...at))),
};
