import { add, formulas } from "../expressions.js";
import { entries, entryAt } from "../arrays.js";

const LABELS = { Residual: ["s", "f"], Bidirectional: ["f", "b"] };
const RAISED = { s: "ˢ", f: "ᶠ", b: "ᵇ" };
const withDigits = (digits, k) => String(k + 1).replace(/\d/g, (digit) => digits[digit]);

const labelOf = ({ trace, frame }, k) => LABELS[trace.data.layers[frame.layer].class]?.[k];

/** Return the output of branch k, such as f₁(x) or s(x); with keys, an array in it. */
const outputOf = (c, k, keys = []) =>
  entries(`${labelOf(c, k) ?? `f${withDigits("₀₁₂₃₄₅₆₇₈₉", k)}`}(x)`, entryAt(c.inner()[k].y, keys).array);

/** Σ_k dx_k, where dx_k comes from branch k. */
const sumOfDx = (c, ...at) => add(...c.inner().map(({ dx }, k) => {
  const name = `dx${RAISED[labelOf(c, k)] ?? `⁽${withDigits("⁰¹²³⁴⁵⁶⁷⁸⁹", k)}⁾`}`;
  return entries(name, c.own(dx).array)(...at);
}));

formulas.Add = { y: (c, ...at) => add(...c.inner().map((_, k) => outputOf(c, k)(...at))), dx: sumOfDx };
formulas.Residual = formulas.Add;

formulas.Concatenate = {
  y(c, ...indices) {
    const axis = c.options.axis ?? -1; // a Bidirectional has none
    const own = axis < 0 ? axis + indices.length : axis;
    const place = [...indices];
    let k = 0;
    while (place[own] >= outputOf(c, k).shape[own]) place[own] -= outputOf(c, k++).shape[own];
    return outputOf(c, k)(...place);
  },
  dx: sumOfDx,
};

formulas.Bidirectional = {
  y: (c, ...at) => formulas[c.options.merge === "sum" ? "Add" : "Concatenate"].y(c, ...at),
  dx: sumOfDx,
};

formulas.Parallel = {
  y(c, ...indices) {
    const [, ...keys] = c.keys;
    // Objects of JavaScript do not keep the order of keys that are numbers.
    const k = c.inner().findIndex(({ y }) => entryAt(y, keys)?.array === c.own(c.y).array);
    return outputOf(c, k, keys)(...indices);
  },
  dx: sumOfDx,
};
