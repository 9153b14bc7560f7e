import { divide, exp, formulas, multiply, range, stably, subtract, sum } from "../expressions.js";

/** exp(x_i) / Σ_k exp(x_k), where x takes an index below the count. */
export function softmax(x, i, count) {
  const value = () => {
    const numbers = range(count).map((k) => x(k).value());
    const most = Math.max(...numbers); // exp(x) might be infinite
    return Math.exp(numbers[i] - most) / numbers.reduce((total, each) => total + Math.exp(each - most), 0);
  };
  return stably(divide(exp(x(i)), sum("k", count, (k) => exp(x(k)))), value);
}

formulas.Softmax = {
  y: ({ x }, ...at) => softmax((k) => x(...at.slice(0, -1), k), at.at(-1), x.shape.at(-1)),
  dx({ y, dy }, ...at) {
    const entry = (array, k) => array(...at.slice(0, -1), k);
    const mean = sum("k", y.shape.at(-1), (k) => multiply(entry(dy, k), entry(y, k)));
    return multiply(y(...at), subtract(dy(...at), mean));
  },
};
