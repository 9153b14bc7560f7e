import { add, cases, define, divide, formulas, maximum, multiply, power, squareRoot, stably, subtract, variable } from "../expressions.js";
import { runningMean } from "./adagrad.js";
import { descended } from "./descent.js";

export const hyperparameters = ({ options }) => ({
  beta1: variable("β₁", [], options.beta_1),
  beta2: variable("β₂", [], options.beta_2),
  epsilon: variable("ε", [], options.epsilon),
});

/** The number of this update, counted from 1. */
const updateNumber = ({ state }) => state.step(0).value() + 1;

/** 1 - βᵗ. */
const oneMinusPower = (beta, t) =>
  stably(subtract(1, power(beta, variable("t", [], t))), () => -Math.expm1(Math.log(beta.value()) * t));

/** 1 + β + ⋯ + βᵗ⁻¹. */
const sumOfPowers = (name, beta, t) => define(name, [t], divide(oneMinusPower(beta, t), subtract(1, beta)));

/** Return the entries of the states m and s after an update. */
const states = {
  m: (c, ...at) => add(multiply(hyperparameters(c).beta1, c.state.m(...at)), c.gradient(...at)),
  s: (c, ...at) => runningMean(hyperparameters(c).beta2, c.state.s(...at), c.gradient(...at)),
};

const meanOfGradients = (c, at) =>
  define("m̂", at, divide(c.after.m(...at), sumOfPowers("a", hyperparameters(c).beta1, updateNumber(c))));

/** mean / (√ŝ + ε), where ŝ is the state s, or another, divided by 1 - β₂ᵗ. */
function normalized(c, mean, at, [name, state] = ["ŝ", c.after.s]) {
  const { beta2, epsilon } = hyperparameters(c);
  const squares = define(name, at, divide(state(...at), oneMinusPower(beta2, updateNumber(c))));
  return divide(mean, add(squareRoot(squares), epsilon));
}

/** m̂ / (√ŝ + ε). */
export const directionOfAdam = (c, at) => normalized(c, meanOfGradients(c, at), at);

formulas.Adam = { state: states, params: (c, ...at) => descended(c, directionOfAdam(c, at), at) };

formulas.AdamW = formulas.Adam;

formulas.AMSGrad = {
  state: { ...states, largest: (c, ...at) => maximum(c.state.largest(...at), c.after.s(...at)) },
  params: (c, ...at) => descended(c, normalized(c, meanOfGradients(c, at), at, ["l̂", c.after.largest]), at),
};

/** ρ_t, the number of squares whose plain mean varies as s does. */
function lengthOfMean(c) {
  const t = updateNumber(c);
  const before = variable("A", [t - 1], c.state.age(0).value());
  const b = sumOfPowers("b", hyperparameters(c).beta2, t);
  return define("ρ", [t], subtract(multiply(2, define("A", [t], add(1, multiply(subtract(1, divide(1, b)), before)))), 1));
}

formulas.RAdam = {
  state: states,
  params(c, ...at) {
    const { beta2, epsilon } = hyperparameters(c);
    const [m, length] = [meanOfGradients(c, at), lengthOfMean(c)];
    const longest = define("ρ", [], subtract(divide(2, subtract(1, beta2)), 1));
    const parts = (rho) => multiply(subtract(rho, 4), subtract(rho, 2));
    const r = define("r", [], squareRoot(divide(multiply(parts(length), longest), multiply(parts(longest), length))));
    const factor = multiply(r, squareRoot(oneMinusPower(beta2, updateNumber(c))));
    const step = divide(multiply(factor, m), add(squareRoot(c.after.s(...at)), epsilon));
    return descended(c, cases(["if ρ_t > 5", length.value() > 5, step], ["else", true, m]), at);
  },
};

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
