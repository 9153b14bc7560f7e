import { formulas, multiply, power, subtract, sumOfEntries } from "../expressions.js";

/** The sum over the entries of example n, or the term of the entry whose own loss is wanted. */
const sumOf = ({ shape, entry }, n, term) => (entry ? term(n, ...entry) : sumOfEntries({ shape }, n, term));

formulas.HalfSquaredError = {
  values: ({ y, t }, n) => sumOf(y, n, (...at) => multiply(0.5, power(subtract(y(...at), t(...at)), 2))),
  gradient: ({ y, t }, ...at) => subtract(y(...at), t(...at)),
};
