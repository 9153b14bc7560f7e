import { add, formulas, multiply, sum, sumOverRows } from "../expressions.js";

// x, y, dy and dx may have more axes than (batch, features): `at` are the indices before the last.
formulas.Dense = {
  y({ x, params: { W, b } }, ...indices) {
    const [at, j] = [indices.slice(0, -1), indices.at(-1)];
    const product = sum("i", W.shape[0], (i) => multiply(x(...at, i), W(i, j)));
    return b ? add(product, b(j)) : product;
  },
  dx({ dy, params: { W } }, ...indices) {
    const [at, i] = [indices.slice(0, -1), indices.at(-1)];
    return sum("j", W.shape[1], (j) => multiply(dy(...at, j), W(i, j)));
  },
  gradients: {
    W: ({ x, dy }, i, j) => sumOverRows(x, (n) => multiply(x(...n, i), dy(...n, j))),
    b: ({ dy }, j) => sumOverRows(dy, (n) => dy(...n, j)),
  },
};
