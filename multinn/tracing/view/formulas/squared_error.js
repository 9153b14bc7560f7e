import { formulas, multiply, power, subtract, sumOfEntries } from "../expressions.js";

formulas.HalfSquaredError = {
  values: ({ y, t }, n) => sumOfEntries(y, n, (...at) => multiply(0.5, power(subtract(y(...at), t(...at)), 2))),
  gradient: ({ y, t }, ...at) => subtract(y(...at), t(...at)),
};
