import { absolute, apply, cases, define, divide, formulas, multiply, power, subtract, variable } from "../expressions.js";
import { meanOfEntries, shareOfEntry } from "./means.js";

const error = ({ y, t }, at) => subtract(y(...at), t(...at));
const sign = (a) => apply("sign", Math.sign, a);

formulas.MeanSquaredError = {
  values: (c, n) => meanOfEntries(c.y, (...at) => power(error(c, [n, ...at]), 2)),
  gradient: (c, ...at) => shareOfEntry(c.y, multiply(2, error(c, at))),
};

formulas.MeanAbsoluteError = {
  values: (c, n) => meanOfEntries(c.y, (...at) => absolute(error(c, [n, ...at]))),
  gradient: (c, ...at) => shareOfEntry(c.y, sign(error(c, at))),
};

/** Return small(e, δ) where |e| ≤ δ, else large(e, δ). */
function huber(c, at, small, large) {
  const [e, delta] = [define("e", at, error(c, at)), variable("δ", [], c.options.delta)];
  const isSmall = Math.abs(e.value()) <= delta.value();
  return cases(["if |e| ≤ δ", isSmall, small(e, delta)], ["else", true, large(e, delta)]);
}

const square = (e) => divide(power(e, 2), 2);
const line = (e, delta) => multiply(delta, subtract(absolute(e), divide(delta, 2)));

formulas.Huber = {
  values: (c, n) => meanOfEntries(c.y, (...at) => huber(c, [n, ...at], square, line)),
  gradient: (c, ...at) => shareOfEntry(c.y, huber(c, at, (e) => e, (e, delta) => multiply(delta, sign(e)))),
};
