// Optimizers that wrap another one. `c.inner()` is the context of the wrapped optimizer.

import { add, cases, define, divide, formulas, multiply, power, stably, subtract, variable } from "../expressions.js";
import { leaves } from "../arrays.js";

/** ‖g‖, the length of all gradients as one vector. */
function globalNorm({ update }) {
  const numbers = leaves(update.gradients).flatMap(([, array]) => [...array.numbers]);
  return variable("‖g‖", [], Math.sqrt(numbers.reduce((total, g) => total + g * g, 0)));
}

formulas.ClipByGlobalNorm = {
  gradient(c, ...at) {
    const [g, norm, most] = [c.gradient(...at), globalNorm(c), variable("max_norm", [], c.options.max_norm)];
    return cases(["if ‖g‖ > max_norm", norm.value() > most.value(), divide(multiply(g, most), norm)], ["else", true, g]);
  },
};

/** Whether one of the patterns matches the path; * stands for anything, ? for one character. */
function isFrozen({ path, options }) {
  const patterns = options.paths.match(/(?<=')[^',]+(?=')/g) ?? []; // the text of a tuple of strings
  return patterns.some((pattern) => new RegExp(`^${pattern
    .replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".").replaceAll("[!", "[^")}$`).test(path));
}

formulas.Freeze = {
  gradient: (c, ...at) => cases(["if frozen", isFrozen(c), 0], ["else", true, c.gradient(...at)]),
  params: (c, ...at) => cases(["if frozen", isFrozen(c), c.params(...at)], ["else", true, c.inner().paramsAfter(...at)]),
};

/** The sum of the gradients since the last update of the wrapped optimizer, and whether it is complete. */
const accumulated = (c, at) => add(c.state.sum(...at), c.gradient(...at));
const isComplete = ({ state, options }) => state.count(0).value() + 1 === options.steps;
const ofUpdate = (c, then, otherwise) =>
  cases(["if this is the last of the steps", isComplete(c), then], ["else", true, otherwise]);

formulas.AccumulateGradients = {
  gradient: (c, ...at) => divide(accumulated(c, at), c.options.steps),
  state: { sum: (c, ...at) => ofUpdate(c, 0, accumulated(c, at)) },
  params: (c, ...at) => ofUpdate(c, c.inner().paramsAfter(...at), c.params(...at)),
};

formulas.ScaledLearningRate = {
  params(c, ...at) {
    const [scale, theta] = [variable("s", [], c.state.learning_rate_scale(0).value()), c.params(...at)];
    return add(theta, multiply(scale, subtract(c.inner().paramsAfter(...at), theta)));
  },
};

formulas.ExponentialMovingAverage = {
  state: {
    average(c, ...at) {
      const [beta, t] = [variable("β", [], c.options.decay), c.state.step(0).value() + 1];
      const closed = divide(subtract(1, beta), subtract(1, power(beta, variable("t", [], t))));
      const weight = define("w", [], stably(closed, () => (beta.value() - 1) / Math.expm1(Math.log(beta.value()) * t)));
      const a = c.state.average(...at);
      return add(a, multiply(weight, subtract(c.paramsAfter(...at), a)));
    },
  },
};
