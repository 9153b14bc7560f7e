import { add, define, exp, formulas, log, multiply, power, stably, subtract, tanh } from "../expressions.js";
import { logistic } from "./sigmoid.js";

/** log(1 + exp(x)). */
function softplus(x) {
  const value = () => Math.max(x.value(), 0) + Math.log1p(Math.exp(-Math.abs(x.value())));
  return stably(log(add(1, exp(x))), value);
}

formulas.Softplus = {
  y: ({ x }, ...at) => softplus(x(...at)),
  dx: ({ x, dy }, ...at) => multiply(dy(...at), logistic(x(...at))),
};

const sigmoidGate = ({ x }, at) => define("σ", at, logistic(x(...at)));

formulas.SiLU = {
  y: (c, ...at) => multiply(c.x(...at), sigmoidGate(c, at)),
  dx(c, ...at) {
    const s = sigmoidGate(c, at);
    return multiply(c.dy(...at), add(s, multiply(c.y(...at), subtract(1, s))));
  },
};

const tanhOfSoftplus = ({ x }, at) => define("t", at, tanh(softplus(x(...at))));

formulas.Mish = {
  y: (c, ...at) => multiply(c.x(...at), tanhOfSoftplus(c, at)),
  dx(c, ...at) {
    const [x, t] = [c.x(...at), tanhOfSoftplus(c, at)];
    return multiply(c.dy(...at), add(t, multiply(subtract(1, power(t, 2)), x, logistic(x))));
  },
};
