import { add, apply, formulas, multiply, subtract, variable } from "../expressions.js";
import { descended } from "./descent.js";

/** β m + (1 - β) g. */
function mixed({ state, gradient }, name, beta, at) {
  const share = variable(name, [], beta);
  return add(multiply(share, state.m(...at)), multiply(subtract(1, share), gradient(...at)));
}

formulas.Lion = {
  state: { m: (c, ...at) => mixed(c, "β₂", c.options.beta_2, at) },
  params: (c, ...at) => descended(c, apply("sign", Math.sign, mixed(c, "β₁", c.options.beta_1, at)), at),
};
