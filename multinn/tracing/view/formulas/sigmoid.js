import { apply, formulas, multiply, subtract } from "../expressions.js";

/** σ(x) = 1 / (1 + exp(-x)). */
export const logistic = (x) => apply("σ", (value) => 1 / (1 + Math.exp(-value)), x);

formulas.Sigmoid = {
  y: ({ x }, ...at) => logistic(x(...at)),
  dx: ({ y, dy }, ...at) => multiply(dy(...at), y(...at), subtract(1, y(...at))),
};
