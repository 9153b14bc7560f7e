import { define, divide, formulas, multiply, number, power, range, squareRoot, subtract, sum } from "../expressions.js";
import { meanOfPositions, shareOfPosition } from "./means.js";

const SMALLEST = { float32: 2 ** -126, float64: 2 ** -1022 }; // normal numbers

const isZeroVector = (array, at) => range(array.shape.at(-1))
  .every((i) => Math.abs(array(...at, i).value()) < SMALLEST[array.array.dtype]);

/** Return the length |a| of a vector, and its direction as a function of an index. */
function directionOf(name, symbol, array, at) {
  const length = define(`|${name}|`, at, squareRoot(sum("i", array.shape.at(-1), (i) => power(array(...at, i), 2))));
  return [length, (k) => define(symbol, [...at, k], divide(array(...at, k), length))];
}

/** Return an expression of |y|, of u and v as functions of an index, and of cos; or 0 if y or t is zero. */
function unlessZero({ y, t }, at, expression) {
  if (isZeroVector(y, at) || isZeroVector(t, at)) return number(0);
  const [[length, u], [, v]] = [directionOf("y", "u", y, at), directionOf("t", "v", t, at)];
  const cosine = define("cos", at, sum("k", y.shape.at(-1), (k) => multiply(u(k), v(k))));
  return expression(cosine, u, v, length);
}

formulas.CosineSimilarity = {
  values: (c, n) => meanOfPositions(c.y, (...rest) => subtract(1, unlessZero(c, [n, ...rest], (cosine) => cosine))),
  gradient(c, ...indices) {
    const k = indices.at(-1);
    return shareOfPosition(c.y, unlessZero(c, indices.slice(0, -1), (cosine, u, v, length) =>
      divide(subtract(multiply(cosine, u(k)), v(k)), length)));
  },
};
