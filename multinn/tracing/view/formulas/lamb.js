import { add, define, divide, formulas, multiply, places, power, squareRoot, subtract, sum, variable } from "../expressions.js";
import { directionOfAdam } from "./adam.js";
import { explained, once } from "./intermediates.js";

/** u = m̂ / (√ŝ + ε) + λ θ. */
function stepOfLamb(c, at) {
  const decay = variable("λ", [], c.options.weight_decay);
  const u = directionOfAdam(c, at);
  return define("u", at, c.options.weight_decay ? add(u, multiply(decay, c.params(...at))) : u);
}

/** The length of an array, whose entries are expressions. */
const lengthOfAll = (c, name, entry) => once(c, name, () => {
  const { shape } = c.params;
  const squares = places(shape).reduce((total, at) => total + entry(...at).value() ** 2, 0);
  const names = ["i", "j", "k", "l"].slice(0, shape.length);
  return explained(variable(`‖${name}‖`, [], Math.sqrt(squares)), () =>
    squareRoot(sum(names, shape, (...at) => power(entry(...at), 2))));
});

/** ‖θ‖ / ‖u‖ as a list of factors: θ = 0 takes a step u. */
function trustRatio(c, step) {
  const [ofParams, ofStep] = [lengthOfAll(c, "θ", c.params), lengthOfAll(c, "u", (...each) => step(c, each))];
  return ofParams.value() > 0 && ofStep.value() > 0 ? [divide(ofParams, ofStep)] : [];
}

formulas.LAMB = {
  state: formulas.Adam.state,
  params: (c, ...at) =>
    subtract(c.params(...at), multiply(c.rate(), ...trustRatio(c, stepOfLamb), stepOfLamb(c, at))),
};

/** u = g + λ θ. */
function stepOfLars(c, at) {
  const [g, decay] = [c.gradient(...at), variable("λ", [], c.options.weight_decay)];
  return define("u", at, c.options.weight_decay ? add(g, multiply(decay, c.params(...at))) : g);
}

formulas.LARS = {
  state: {
    v(c, ...at) {
      const [momentum, trust] = [variable("μ", [], c.options.momentum), variable("κ", [], c.options.trust_coefficient)];
      const ratio = trustRatio(c, stepOfLars);
      const factors = ratio.length ? [trust, ...ratio] : [];
      return add(multiply(momentum, c.state.v(...at)), multiply(...factors, stepOfLars(c, at)));
    },
  },
  params: (c, ...at) => subtract(c.params(...at), multiply(c.rate(), c.after.v(...at))),
};
