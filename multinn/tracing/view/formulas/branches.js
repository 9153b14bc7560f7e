import { add, formulas } from "../expressions.js";
import { entries } from "../arrays.js";

const LABELS = { Residual: ["s", "f"], Bidirectional: ["f", "b"] };
const RAISED = { s: "ˢ", f: "ᶠ", b: "ᵇ" };
const lowered = (k) => String(k).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Return the outputs of the branches, as f₁(x), and their dx, as dx₁. */
function branchesOf({ inner, trace, frame, path }) {
  const labels = LABELS[trace.data.layers[frame.layer].class];
  const dxOf = ({ dx }) => (path && Array.isArray(dx) ? dx[path] : dx).array;
  return inner().map((layer, k) => ({
    y: () => entries(`${labels?.[k] ?? `f${lowered(k + 1)}`}(x)`, layer.y.array),
    dx: () => entries(`dx${labels ? RAISED[labels[k]] : lowered(k + 1)}`, dxOf(layer)),
  }));
}

const dx = (c, ...at) => add(...branchesOf(c).map((branch) => branch.dx()(...at)));

formulas.Add = { y: (c, ...at) => add(...branchesOf(c).map((branch) => branch.y()(...at))), dx };
formulas.Residual = formulas.Add;

formulas.Concatenate = {
  y(c, ...indices) {
    const axis = (c.options.axis ?? -1) < 0 ? indices.length + (c.options.axis ?? -1) : c.options.axis;
    const at = [...indices];
    for (const branch of branchesOf(c)) {
      const y = branch.y();
      if (at[axis] < y.shape[axis]) return y(...at);
      at[axis] -= y.shape[axis];
    }
  },
  dx,
};

formulas.Bidirectional = {
  y: (c, ...at) => formulas[c.options.merge === "sum" ? "Add" : "Concatenate"].y(c, ...at),
  dx,
};

formulas.Parallel = { y: (c, ...at) => branchesOf(c)[c.path].y()(...at), dx };
