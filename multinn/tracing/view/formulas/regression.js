import { absolute, apply, cases, define, divide, formulas, multiply, power, subtract, variable } from "../expressions.js";
import { meanOfEntries, shareOfEntry } from "./means.js";

const errorAt = ({ y, t }, at) => subtract(y(...at), t(...at));
const signOf = (a) => apply("sign", Math.sign, a);

formulas.MeanSquaredError = {
  values: (c, n) => meanOfEntries(c.y, (...at) => power(errorAt(c, [n, ...at]), 2)),
  gradient: (c, ...at) => shareOfEntry(c.y, multiply(2, errorAt(c, at))),
};

formulas.MeanAbsoluteError = {
  values: (c, n) => meanOfEntries(c.y, (...at) => absolute(errorAt(c, [n, ...at]))),
  gradient: (c, ...at) => shareOfEntry(c.y, signOf(errorAt(c, at))),
};

/** Return small(e, δ) where |e| ≤ δ, else large(e, δ). */
function huber(c, at, small, large) {
  const [e, delta] = [define("e", at, errorAt(c, at)), variable("δ", [], c.options.delta)];
  const isSmall = Math.abs(e.value()) <= delta.value();
  return cases(["if |e| ≤ δ", isSmall, small(e, delta)], ["else", true, large(e, delta)]);
}

const huberSquare = (e) => divide(power(e, 2), 2);
const huberLine = (e, delta) => multiply(delta, subtract(absolute(e), divide(delta, 2)));

formulas.Huber = {
  values: (c, n) => meanOfEntries(c.y, (...at) => huber(c, [n, ...at], huberSquare, huberLine)),
  gradient: (c, ...at) => shareOfEntry(c.y, huber(c, at, (e) => e, (e, delta) => multiply(delta, signOf(e)))),
};
