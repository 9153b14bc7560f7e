import { add, define, divide, formulas, multiply, power, squareRoot, subtract, variable } from "../expressions.js";
import { descended } from "./descent.js";

const epsilonIn = ({ options }) => variable("ε", [], options.epsilon);

const decayIn = ({ options }) => variable("ρ", [], options.decay);

/** ρ a + (1 - ρ) b², the running mean a of squares. */
export const runningMean = (rho, a, b) => add(multiply(rho, a), multiply(subtract(1, rho), power(b, 2)));

/** θ ← θ - η g / (√s + ε). */
const dividedByRoot = (c, ...at) =>
  descended(c, divide(c.gradient(...at), add(squareRoot(c.after.s(...at)), epsilonIn(c))), at);

formulas.Adagrad = {
  state: { s: ({ state, gradient }, ...at) => add(state.s(...at), power(gradient(...at), 2)) },
  params: dividedByRoot,
};

formulas.RMSProp = {
  state: { s: (c, ...at) => runningMean(decayIn(c), c.state.s(...at), c.gradient(...at)) },
  params: dividedByRoot,
};

/** u = g √(d + ε) / √(s + ε), with d before the update and s after it. */
function stepOfAdadelta(c, at) {
  const root = (a) => squareRoot(add(a, epsilonIn(c)));
  return multiply(c.gradient(...at), divide(root(c.state.d(...at)), root(c.after.s(...at))));
}

formulas.Adadelta = {
  state: {
    s: formulas.RMSProp.state.s,
    d: (c, ...at) => runningMean(decayIn(c), c.state.d(...at), define("u", at, stepOfAdadelta(c, at))),
  },
  params: (c, ...at) => descended(c, define("u", at, stepOfAdadelta(c, at)), at),
};
