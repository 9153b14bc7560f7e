import { add, define, formulas, multiply, power, subtract, tanh } from "../expressions.js";
import { recurrent } from "./recurrent.js";
import { logistic } from "./sigmoid.js";

/** Return the recorded gates of a step, and h before it. */
function recordedParts(s, n, t, u) {
  const [resetAndUpdate, candidate] = s.cache.saved;
  return {
    r: s.recorded("r", resetAndUpdate)(n, t, u),
    z: s.recorded("z", resetAndUpdate, s.units)(n, t, u),
    candidate: s.recorded("n", candidate)(n, t, u),
    before: s.h(n, s.before(t), u),
  };
}

/** s_n + c, with s_n = h_t-1 U. */
const recurrentPart = (s, n, t, u) => define("s′", [n, t, u], add(s.s(n, t, 2 * s.units + u), s.params.c(u)));

const slopeOf = (a) => multiply(a, subtract(1, a));

formulas.GRU = recurrent({
  h(s, n, t, u) {
    const gate = (name, v) => define(name, [n, t, u], logistic(add(s.a(n, t, v), s.s(n, t, v))));
    const [r, z] = [gate("r", u), gate("z", s.units + u)];
    const sum = add(s.a(n, t, 2 * s.units + u), multiply(r, recurrentPart(s, n, t, u)));
    const candidate = define("n", [n, t, u], tanh(sum));
    return add(multiply(subtract(1, z), candidate), multiply(z, s.h(n, s.before(t), u)));
  },
  direct: (s, d, n, t, u) => multiply(d.dh(n, t, u), recordedParts(s, n, t, u).z),
  da(s, d, n, t, u) {
    const { r, z, candidate, before } = recordedParts(s, n, t, u);
    const dh = d.dh(n, t, u);
    const ofCandidate = multiply(dh, subtract(1, z), subtract(1, power(candidate, 2)));
    const da = define("da", [n, t, 2 * s.units + u], ofCandidate);
    return [
      multiply(da, recurrentPart(s, n, t, u), slopeOf(r)),
      multiply(dh, subtract(before, candidate), slopeOf(z)),
      ofCandidate,
    ];
  },
  ds(s, d, n, t, u) {
    const [ofReset, ofUpdate] = this.da(s, d, n, t, u);
    return [ofReset, ofUpdate, multiply(d.da(n, t, 2 * s.units + u), recordedParts(s, n, t, u).r)];
  },
});
