import { apply, formulas, multiply, subtract } from "../expressions.js";

const logistic = (x) => 1 / (1 + Math.exp(-x));

formulas.Sigmoid = {
  y: ({ x }, ...at) => apply("σ", logistic, x(...at)),
  dx: ({ y, dy }, ...at) => multiply(dy(...at), y(...at), subtract(1, y(...at))),
};
