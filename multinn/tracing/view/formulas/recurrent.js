// Recurrent layers: their steps, and backpropagation through time.
//
// A step has the index t of its input in x, also where the layer goes backwards. A layer gives functions
// of the steps `s`, from `stepsOf`, and of n, t and a unit u; some take the gradients `d`, too:
//   h(s, n, t, u)             h after the step
//   da(s, d, n, t, u)         da for the unit of each gate, in terms of d.dh and d.dc
//   ds(s, d, n, t, u)         ds likewise, where it differs from da
//   direct(s, d, n, t, u)     what h before the step gets not by way of U
//   dc(s, d, n, t, u)         what c after the step gets from h after it
//   directToC(s, d, n, t, u)  what c before the step gets
//   columns(s)                the number of columns of U that h before the step meets, if not all
//   product(s, n, t, u)       what the other columns meet

import { add, multiply, number, places, range, sum, variable } from "../expressions.js";
import { explained, oncePerCall } from "./intermediates.js";

const areNumbers = (...indices) => indices.every(Number.isInteger);
const movedStep = (t, by) => (Number.isInteger(t) ? t + by : t + (by > 0 ? "+1" : "−1"));
const addAll = (parts) => (parts.length > 1 ? add(...parts) : parts[0] ?? number(0));

/** Return the context of a layer, with functions for its steps. */
function stepsOf(layer, c) {
  const { x, mask, cache, params: { W, U, b }, options } = c;
  const [count, units, direction] = [x.shape[1], U.shape[0], options.go_backwards ? -1 : 1];
  const order = (t) => (options.go_backwards ? count - 1 - t : t);
  const exists = (t) => t >= 0 && t < count;
  const before = (t) => movedStep(t, -direction);
  const recorded = (name, array, first = 0) => (n, t, u) => variable(name, [n, t, u],
    !areNumbers(n, t, u) ? NaN : exists(t) ? array.at(order(t), n, first + u) : 0);
  const h = recorded("h", cache.states[0]);
  const a = (n, t, v) => add(sum("k", x.shape[2], (k) => multiply(x(n, t, k), W(k, v))), b(v));
  const met = (n, t, k, v) => (v < steps.columns ? h(n, before(t), k) : layer.product(steps, n, t, k));
  const s = (n, t, v) => sum("k", units, (k) => multiply(met(n, t, k, v), U(k, v)));
  const steps = {
    ...c, count, units, exists, before, recorded, h, a, s, met,
    after: (t) => movedStep(t, direction),
    inOrder: range(count).map(order),
    counts: (n, t) => !mask || Boolean(mask.at(n, t)),
    isCutBefore: (t) => options.truncate !== null && order(t) % options.truncate === 0,
  };
  steps.columns = layer.columns?.(steps) ?? U.shape[1];
  return steps;
}

/** Return the gradients dh, dc, da and ds as functions of indices, each with its definition. */
function gradientsOf(layer, s) {
  const { x, count, units, params: { U } } = s;
  const width = U.shape[1];
  const zeros = (size) => range(x.shape[0]).map(() => range(count).map(() => new Float64Array(size)));
  const numbers = { dh: zeros(units), dc: zeros(units), da: zeros(width) };
  numbers.ds = layer.ds ? zeros(width) : numbers.da;
  const known = (name) => (...at) =>
    variable(name, at, areNumbers(...at) ? numbers[name][at[0]][at[1]][at[2]] : NaN);
  const d = { dh: known("dh"), dc: known("dc"), da: known("da"), ds: known("ds") };
  const withDefinition = (name, define) => (...at) =>
    (areNumbers(...at) ? explained(d[name](...at), () => define(...at)) : d[name](...at));

  /** Return what the next step passes back to a gradient, from `passed`, as a list. */
  function later(name, n, t, u, passed) {
    const next = s.after(t);
    if (!s.exists(next) || s.isCutBefore(next)) return [];
    return s.counts(n, next) ? passed(next) : [d[name](n, next, u)];
  }
  function ofOutput(n, t, u) {
    if (s.options.return_sequences) return [s.dy(n, t, u)];
    return s.exists(s.after(t)) ? [] : [s.dy(n, u)];
  }
  function dh(n, t, u, throughU) {
    const direct = (next) => (layer.direct ? [layer.direct(s, d, n, next, u)] : []);
    return addAll([...ofOutput(n, t, u), ...later("dh", n, t, u, (next) => [throughU(n, next, u), ...direct(next)])]);
  }
  function dc(n, t, u) {
    const ofH = s.counts(n, t) ? [layer.dc(s, found, n, t, u)] : [];
    return addAll([...later("dc", n, t, u, (next) => [layer.directToC(s, d, n, next, u)]), ...ofH]);
  }
  const own = layer.ds ? { da: "da", ds: "ds" } : { da: "da", ds: "da" };
  const ofGates = (name, n, t, u) => layer[own[name]](s, found, n, t, u);
  const ofGate = (name) => (n, t, v) =>
    (s.counts(n, t) ? ofGates(name, n, t, v % units)[Math.floor(v / units)] : number(0));
  const throughU = (n, t, u) => sum("v", s.columns, (v) => multiply(d.ds(n, t, v), U(u, v)));
  const found = {
    dh: withDefinition("dh", (n, t, u) => dh(n, t, u, throughU)),
    dc: withDefinition("dc", dc),
    da: withDefinition("da", ofGate("da")),
    ds: withDefinition("ds", ofGate("ds")),
  };
  // The same as throughU, but quick, as every entry is needed.
  const numberThroughU = (n, t, u) =>
    number(numbers.ds[n][t].slice(0, s.columns).reduce((total, ds, v) => total + ds * U.array.numbers[u * width + v], 0));

  for (const t of [...s.inOrder].reverse()) {
    for (const [n, u] of places([x.shape[0], units])) {
      numbers.dh[n][t][u] = dh(n, t, u, numberThroughU).value();
      if (layer.dc) numbers.dc[n][t][u] = dc(n, t, u).value();
    }
    // The last gate first: those of a GRU can need it.
    for (const [v, n] of places([range(width).reverse(), x.shape[0]])) {
      if (!s.counts(n, t)) continue;
      for (const name of new Set(Object.values(own))) numbers[name][n][t][v] = ofGate(name)(n, t, v).value();
    }
  }
  return found;
}

/** Return the formulas of a recurrent layer. */
export function recurrent(layer) {
  const backward = (c) => oncePerCall(c, "gradients", () => gradientsOf(layer, stepsOf(layer, c)));
  const sumOverSteps = (c, term) => sum(["n", "t"], c.x.shape.slice(0, 2), term);
  return {
    y(c, ...indices) {
      const [s, n, u] = [stepsOf(layer, c), indices[0], indices.at(-1)];
      const t = c.options.return_sequences ? indices[1] : s.inOrder.findLast((each) => s.counts(n, each));
      if (t === undefined) return number(0);
      return s.counts(n, t) ? layer.h(s, n, t, u) : s.h(n, s.before(t), u);
    },
    dx(c, n, t, k) {
      const { W } = c.params;
      return sum("v", W.shape[1], (v) => multiply(backward(c).da(n, t, v), W(k, v)));
    },
    gradients: {
      W: (c, k, v) => sumOverSteps(c, (n, t) => multiply(c.x(n, t, k), backward(c).da(n, t, v))),
      U(c, k, v) {
        const { met } = stepsOf(layer, c);
        return sumOverSteps(c, (n, t) => multiply(met(n, t, k, v), backward(c).ds(n, t, v)));
      },
      b: (c, v) => sumOverSteps(c, (n, t) => backward(c).da(n, t, v)),
      // The bias of s_n in a GRU, whose candidate is the last of three gates.
      c: (c, u) => sumOverSteps(c, (n, t) => backward(c).ds(n, t, 2 * c.params.U.shape[0] + u)),
    },
  };
}
