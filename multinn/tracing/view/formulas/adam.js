import { add, define, divide, formulas, multiply, power, squareRoot, stably, subtract, variable } from "../expressions.js";
import { descended } from "./descent.js";

export const hyperparameters = ({ options }) => ({
  beta1: variable("β₁", [], options.beta_1),
  beta2: variable("β₂", [], options.beta_2),
  epsilon: variable("ε", [], options.epsilon),
});

/** The number of this update, counted from 1. */
const updateNumber = ({ state }) => state.step(0).value() + 1;

/** 1 + β + ⋯ + βᵗ⁻¹. */
function sumOfPowers(name, beta, t) {
  const closed = divide(subtract(1, power(beta, variable("t", [], t))), subtract(1, beta));
  return define(name, [t], stably(closed, () => Math.expm1(Math.log(beta.value()) * t) / (beta.value() - 1)));
}

/** Return the entries of the states m and v after an update. */
const states = {
  m: (c, ...at) => add(multiply(hyperparameters(c).beta1, c.state.m(...at)), c.gradient(...at)),
  v: (c, ...at) => add(multiply(hyperparameters(c).beta2, c.state.v(...at)), power(c.gradient(...at), 2)),
};

/** mean / (√v̂ + ε). */
function normalized(c, mean, at) {
  const { beta2, epsilon } = hyperparameters(c);
  const v = define("v̂", at, divide(c.after.v(...at), sumOfPowers("b", beta2, updateNumber(c))));
  return divide(mean, add(squareRoot(v), epsilon));
}

/** m̂ / (√v̂ + ε). */
export function directionOfAdam(c, at) {
  const m = divide(c.after.m(...at), sumOfPowers("a", hyperparameters(c).beta1, updateNumber(c)));
  return normalized(c, define("m̂", at, m), at);
}

formulas.Adam = { state: states, params: (c, ...at) => descended(c, directionOfAdam(c, at), at) };

formulas.AdamW = formulas.Adam;

formulas.NAdam = {
  state: states,
  params(c, ...at) {
    const { beta1 } = hyperparameters(c);
    const t = updateNumber(c);
    const psi = variable("ψ", [], c.options.momentum_decay);
    const mu = (k) => define("μ", [k], multiply(beta1, subtract(1, divide(power(0.96, multiply(k, psi)), 2))));
    const product = define("Π", [t], multiply(variable("Π", [t - 1], c.state.product(0).value()), mu(t)));
    const next = define("Π", [t + 1], multiply(product, mu(t + 1)));
    const ofM = divide(multiply(mu(t + 1), subtract(1, beta1), c.after.m(...at)), subtract(1, next));
    const ofG = divide(multiply(subtract(1, mu(t)), c.gradient(...at)), subtract(1, product));
    return descended(c, normalized(c, define("m̂", at, add(ofM, ofG)), at), at);
  },
};
