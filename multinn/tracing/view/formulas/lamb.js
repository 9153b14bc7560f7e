import { add, define, divide, formulas, multiply, places, power, squareRoot, subtract, sum, variable } from "../expressions.js";
import { directionOfAdam } from "./adam.js";
import { explained, once } from "./intermediates.js";

/** u = m̂ / (√v̂ + ε) + λ θ. */
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

formulas.LAMB = {
  state: formulas.Adam.state,
  params(c, ...at) {
    const u = stepOfLamb(c, at);
    const [ofParams, ofStep] = [lengthOfAll(c, "θ", c.params), lengthOfAll(c, "u", (...each) => stepOfLamb(c, each))];
    const ratio = ofParams.value() > 0 && ofStep.value() > 0 ? [divide(ofParams, ofStep)] : []; // θ = 0 takes a step u
    return subtract(c.params(...at), multiply(c.rate(), ...ratio, u));
  },
};
