import { add, formulas, multiply, subtract } from "../expressions.js";

/** θ - η (direction + λ θ), as every optimizer descends. */
export function descended({ params, rate, options }, direction, at) {
  const decay = options.weight_decay;
  const step = decay ? add(direction, multiply(decay, params(...at))) : direction;
  return subtract(params(...at), multiply(rate(), step));
}

formulas.SGD = {
  state: {
    v: ({ state, gradient, options }, ...at) => add(multiply(options.momentum, state.v(...at)), gradient(...at)),
  },
  params(c, ...at) {
    const { momentum, nesterov } = c.options;
    const v = momentum ? c.after.v(...at) : c.gradient(...at);
    return descended(c, nesterov ? add(c.gradient(...at), multiply(momentum, v)) : v, at);
  },
};
