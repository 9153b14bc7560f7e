import { absolute, add, define, divide, formulas, multiply, power, subtract, tanh } from "../expressions.js";

formulas.Tanh = {
  y: ({ x }, ...at) => tanh(x(...at)),
  dx: ({ y, dy }, ...at) => multiply(dy(...at), subtract(1, power(y(...at), 2))),
};

const softsignDenominator = ({ x }, at) => define("d", at, add(1, absolute(x(...at))));

formulas.Softsign = {
  y: (c, ...at) => divide(c.x(...at), softsignDenominator(c, at)),
  dx: (c, ...at) => divide(c.dy(...at), power(softsignDenominator(c, at), 2)),
};
