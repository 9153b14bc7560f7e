import { add, formulas, multiply, subtract, variable } from "../expressions.js";

/** θ - η (direction + λ θ), as every optimizer descends. */
export function descended({ params, rate, options }, direction, at) {
  const decay = variable("λ", [], options.weight_decay);
  const step = options.weight_decay ? add(direction, multiply(decay, params(...at))) : direction;
  return subtract(params(...at), multiply(rate(), step));
}

const momentum = ({ options }) => variable("μ", [], options.momentum);

formulas.SGD = {
  state: {
    v: (c, ...at) => add(multiply(momentum(c), c.state.v(...at)), c.gradient(...at)),
  },
  params(c, ...at) {
    const v = c.options.momentum ? c.after.v(...at) : c.gradient(...at);
    return descended(c, c.options.nesterov ? add(c.gradient(...at), multiply(momentum(c), v)) : v, at);
  },
};
