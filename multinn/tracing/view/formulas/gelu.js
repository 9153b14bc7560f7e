import { add, apply, define, divide, formulas, multiply, power, squareRoot, subtract, tanh, variable } from "../expressions.js";

const normalDensity = (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);

/** Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3 · 5) + ...): G. Marsaglia, Evaluating the normal distribution, 2004. */
function normalDistribution(x) {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0; // up to 1e-18
  let [total, term] = [0, x];
  for (let k = 3; total !== total + term; k += 2) {
    total += term;
    term *= x * x / k;
  }
  return 0.5 + total * normalDensity(x);
}

const geluScale = () => squareRoot(divide(2, variable("π", [], Math.PI)));

/** t = tanh(u) of the approximation, and u'. */
function tanhApproximation(x, at) {
  const u = define("u", at, multiply(geluScale(), add(x, multiply(0.044715, power(x, 3)))));
  const slope = define("u′", at, multiply(geluScale(), add(1, multiply(0.134145, power(x, 2)))));
  return [define("t", at, tanh(u)), slope];
}

formulas.GELU = {
  y({ x: entry, options }, ...at) {
    const x = entry(...at);
    if (options.approximate === "none") return multiply(x, apply("Φ", normalDistribution, x));
    return multiply(x, divide(add(1, tanhApproximation(x, at)[0]), 2));
  },
  dx({ x: entry, dy, options }, ...at) {
    const x = entry(...at);
    if (options.approximate === "none") {
      return multiply(dy(...at), add(apply("Φ", normalDistribution, x), multiply(x, apply("φ", normalDensity, x))));
    }
    const [t, slope] = tanhApproximation(x, at);
    const change = divide(multiply(x, subtract(1, power(t, 2)), slope), 2);
    return multiply(dy(...at), add(divide(add(1, t), 2), change));
  },
};
