import { add, apply, define, divide, formulas, multiply, number, power, range, sum, variable } from "../expressions.js";
import { shifted } from "./windows.js";

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
  gradients: { P: ({ dy }, t, j) => (t < dy.shape[1] ? sum("n", dy.shape[0], (n) => dy(n, t, j)) : number(0)) },
};

formulas.RelativePositionBias = {
  y: ({ y, params: { b } }, n, h, i, j) => b(h, j - i + y.shape[3] - 1),
  dx: () => number(0),
  gradients: {
    b({ dy }, h, k) {
      const [batch, , time] = dy.shape;
      const distance = k - time + 1;
      const steps = range(time).filter((i) => i + distance >= 0 && i + distance < time);
      return sum(["n", "i"], [batch, steps], (n, i) => dy(n, h, i, shifted(distance, 1, i)));
    },
  },
};
