import { add, define, formulas, multiply, power, range, subtract, sum, tanh } from "../expressions.js";
import { explained } from "./intermediates.js";
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

const sumInGate = (s, n, t, v) => add(s.a(n, t, v), s.s(n, t, v));

/** Return h, from the sum in the candidate. */
function stateOf(s, n, t, u, sumInCandidate) {
  const z = define("z", [n, t, u], logistic(sumInGate(s, n, t, s.units + u)));
  const candidate = define("n", [n, t, u], tanh(sumInCandidate));
  return add(multiply(subtract(1, z), candidate), multiply(z, s.h(n, s.before(t), u)));
}

/** Return da of the update gate and of the candidate. */
function ofUpdateAndCandidate(s, d, n, t, u) {
  const { z, candidate, before } = recordedParts(s, n, t, u);
  const dh = d.dh(n, t, u);
  return [
    multiply(dh, subtract(before, candidate), slopeOf(z)),
    multiply(dh, subtract(1, z), subtract(1, power(candidate, 2))),
  ];
}

const resetAfter = recurrent({
  h(s, n, t, u) {
    const r = define("r", [n, t, u], logistic(sumInGate(s, n, t, u)));
    return stateOf(s, n, t, u, add(s.a(n, t, 2 * s.units + u), multiply(r, recurrentPart(s, n, t, u))));
  },
  direct: (s, d, n, t, u) => multiply(d.dh(n, t, u), recordedParts(s, n, t, u).z),
  da(s, d, n, t, u) {
    const [ofUpdate, ofCandidate] = ofUpdateAndCandidate(s, d, n, t, u);
    const da = define("da", [n, t, 2 * s.units + u], ofCandidate);
    return [
      multiply(da, recurrentPart(s, n, t, u), slopeOf(recordedParts(s, n, t, u).r)),
      ofUpdate,
      ofCandidate,
    ];
  },
  ds(s, d, n, t, u) {
    const [ofReset, ofUpdate] = this.da(s, d, n, t, u);
    return [ofReset, ofUpdate, multiply(d.da(n, t, 2 * s.units + u), recordedParts(s, n, t, u).r)];
  },
});

const columnsOfCandidate = (s) => range(3 * s.units).slice(2 * s.units);

/** dq, the gradient of q = r h_t-1. */
const ofProduct = (s, d, n, t, u) => define("dq", [n, t, u],
  sum("v", columnsOfCandidate(s), (v) => multiply(d.da(n, t, v), s.params.U(u, v))));

const resetBefore = recurrent({
  columns: (s) => 2 * s.units,
  product(s, n, t, u) {
    const { r, before } = recordedParts(s, n, t, u);
    return multiply(explained(r, () => logistic(sumInGate(s, n, t, u))), before);
  },
  h: (s, n, t, u) => stateOf(s, n, t, u, sumInGate(s, n, t, 2 * s.units + u)),
  direct(s, d, n, t, u) {
    const { r, z } = recordedParts(s, n, t, u);
    return add(multiply(d.dh(n, t, u), z), multiply(ofProduct(s, d, n, t, u), r));
  },
  da(s, d, n, t, u) {
    const { r, before } = recordedParts(s, n, t, u);
    const ofReset = multiply(ofProduct(s, d, n, t, u), before, slopeOf(r));
    return [ofReset, ...ofUpdateAndCandidate(s, d, n, t, u)];
  },
});

const formulasOf = ({ options }) => (options.reset_after === false ? resetBefore : resetAfter);

formulas.GRU = {
  y: (c, ...at) => formulasOf(c).y(c, ...at),
  dx: (c, ...at) => formulasOf(c).dx(c, ...at),
  gradients: Object.fromEntries(["W", "U", "b", "c"].map((name) =>
    [name, (c, ...at) => formulasOf(c).gradients[name](c, ...at)])),
};
