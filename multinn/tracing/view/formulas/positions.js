import { add, apply, define, divide, formulas, multiply, power, sum, variable } from "../expressions.js";

const cosine = (a) => apply("cos", Math.cos, a);
const sine = (a) => apply("sin", Math.sin, a);

formulas.PositionalEncoding = {
  y({ x }, n, t, j) {
    const rate = define("r", [Math.floor(j / 2)], power(10000, divide(j % 2 - j, x.shape.at(-1))));
    const angle = multiply(variable("t", [], t), rate);
    return add(x(n, t, j), define("P", [t, j], j % 2 ? cosine(angle) : sine(angle)));
  },
  dx: ({ dy }, ...at) => dy(...at),
};

formulas.PositionEmbedding = {
  y: ({ x, params: { P } }, n, t, j) => add(x(n, t, j), P(t, j)),
  dx: ({ dy }, ...at) => dy(...at),
  gradients: { P: ({ dy }, t, j) => sum("n", dy.shape[0], (n) => dy(n, t, j)) },
};
