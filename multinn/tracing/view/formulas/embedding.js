import { formulas, multiply, number, places, sum, variable } from "../expressions.js";

formulas.Embedding = {
  y: ({ x, params: { W } }, ...indices) => W(x.at(...indices.slice(0, -1)), indices.at(-1)),
  dx: () => number(0),
  gradients: {
    W({ x, dy }, k, j) {
      const found = places(x.shape).filter((at) => x.at(...at) === k);
      return sum("n", found, (n) => multiply(variable(`[x = ${k}]`, [n], 1), dy(...[n].flat(), j)));
    },
  },
};
