import { add, define, formulas, multiply, power, subtract, tanh } from "../expressions.js";
import { recurrent } from "./recurrent.js";
import { logistic } from "./sigmoid.js";

/** Return the recorded gates of a step, and c after it and before it. */
function recordedGates(s, n, t, u) {
  const { saved: [inputAndForget, candidate, output], states } = s.cache;
  const gate = (number) => ({ at: (step, example, unit) => inputAndForget.at(step, number, example, unit) });
  const c = s.recorded("c", states[1]);
  return {
    i: s.recorded("i", gate(0))(n, t, u),
    f: s.recorded("f", gate(1))(n, t, u),
    g: s.recorded("g", candidate)(n, t, u),
    o: s.recorded("o", output)(n, t, u),
    c: c(n, t, u),
    before: c(n, s.before(t), u),
  };
}

/** a (1 - a), the derivative of a = σ(z). */
const slopeOfGate = (a) => multiply(a, subtract(1, a));

formulas.LSTM = recurrent({
  h(s, n, t, u) {
    const gate = (name, number, activation) => define(name, [n, t, u],
      activation(add(s.a(n, t, number * s.units + u), s.s(n, t, number * s.units + u))));
    const [i, f] = [gate("i", 0, logistic), gate("f", 1, logistic)];
    const [g, o] = [gate("g", 2, tanh), gate("o", 3, logistic)];
    const { before } = recordedGates(s, n, t, u);
    return multiply(o, tanh(define("c", [n, t, u], add(multiply(f, before), multiply(i, g)))));
  },
  dc(s, d, n, t, u) {
    const { o, c } = recordedGates(s, n, t, u);
    return multiply(d.dh(n, t, u), o, subtract(1, power(tanh(c), 2)));
  },
  directToC: (s, d, n, t, u) => multiply(d.dc(n, t, u), recordedGates(s, n, t, u).f),
  da(s, d, n, t, u) {
    const { i, f, g, o, c, before } = recordedGates(s, n, t, u);
    const [dh, dc] = [d.dh(n, t, u), d.dc(n, t, u)];
    return [
      multiply(dc, g, slopeOfGate(i)),
      multiply(dc, before, slopeOfGate(f)),
      multiply(dc, i, subtract(1, power(g, 2))),
      multiply(dh, tanh(c), slopeOfGate(o)),
    ];
  },
});
