import { add, formulas } from "../expressions.js";
import { entries } from "../arrays.js";

const LABELS = { Residual: ["s", "f"], Bidirectional: ["f", "b"] };
const RAISED = { s: "ˢ", f: "ᶠ", b: "ᵇ" };
const withDigits = (digits, k) => String(k + 1).replace(/\d/g, (digit) => digits[digit]);

const labelOf = ({ trace, frame }, k) => LABELS[trace.data.layers[frame.layer].class]?.[k];

/** Return the output of branch k, such as f₁(x) or s(x). */
const outputOf = (c, k) =>
  entries(`${labelOf(c, k) ?? `f${withDigits("₀₁₂₃₄₅₆₇₈₉", k)}`}(x)`, c.inner()[k].y.array);

/** Σ_k dx_k, where dx_k comes from branch k. */
const sumOfDx = (c, ...at) => add(...c.inner().map(({ dx }, k) => {
  const name = `dx${RAISED[labelOf(c, k)] ?? `⁽${withDigits("⁰¹²³⁴⁵⁶⁷⁸⁹", k)}⁾`}`;
  return entries(name, (c.path ? dx[c.path] : dx).array)(...at);
}));

formulas.Add = { y: (c, ...at) => add(...c.inner().map((_, k) => outputOf(c, k)(...at))), dx: sumOfDx };
formulas.Residual = formulas.Add;

formulas.Concatenate = {
  y(c, ...indices) {
    const axis = c.options.axis ?? -1; // a Bidirectional has none
    const own = axis < 0 ? axis + indices.length : axis;
    const at = [...indices];
    let k = 0;
    while (at[own] >= outputOf(c, k).shape[own]) at[own] -= outputOf(c, k++).shape[own];
    return outputOf(c, k)(...at);
  },
  dx: sumOfDx,
};

formulas.Bidirectional = {
  y: (c, ...at) => formulas[c.options.merge === "sum" ? "Add" : "Concatenate"].y(c, ...at),
  dx: sumOfDx,
};

formulas.Parallel = {
  y(c, ...at) {
    const names = c.options.names?.match(/(?<=')[^',]+(?=')/g); // the text of a tuple of strings
    return outputOf(c, names ? names.indexOf(c.path) : Number(c.path))(...at);
  },
  dx: sumOfDx,
};
