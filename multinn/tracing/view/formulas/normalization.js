// Normalizations. Each divides x into groups, { label, members, at }, with a mean μ and a deviation s of
// their own: label are the indices of μ and s, and at(i) are the indices in x of the member i.

import { add, cases, define, divide, formulas, multiply, places, power, range, squareRoot, subtract, sum, variable } from "../expressions.js";
import { entries } from "../arrays.js";
import { oncePerCall } from "./intermediates.js";

const meanOf = ({ members, at }, term) => divide(sum("i", members, (i) => term(...at(i))), members.length);
const epsilonOf = ({ options }) => variable("ε", [], options.epsilon);
const renamed = (symbol, found) => entries(symbol, found.array);
const gammaOf = ({ params }) => renamed("γ", params.gamma);
const zOf = ({ cache }) => renamed("z", cache[0]);
const isCounted = ({ mask }, [n, t]) => !mask || Boolean(mask.at(n, t));
const unlessPadding = (c, at, expression) =>
  (c.mask ? cases(["at padding", !isCounted(c, at), 0], ["else", true, expression]) : expression);
/** The number of axes of x that γ does not have. */
const leading = (c) => c.x.shape.length - c.params.gamma.shape.length;
/** The indices in γ of indices in x, which may be those of an example and one name for all its members. */
const indicesOfScale = (c, at) => at.slice(at.length < c.x.shape.length ? -1 : leading(c));
const rowsOf = (c) =>
  oncePerCall(c, "rows", () => places(c.x.shape.slice(0, leading(c))).filter((at) => isCounted(c, at)));

/** Return μ and s of a group. */
function momentsOf(c, group) {
  const mu = define("μ", group.label, meanOf(group, (...i) => c.x(...i)));
  const variance = meanOf(group, (...i) => power(subtract(c.x(...i), mu), 2));
  return { mu, s: define("s", group.label, squareRoot(add(variance, epsilonOf(c)))) };
}

/** Return γ z + β, with z in terms of x. */
function scaled(c, moments, at) {
  const z = define("z", at, divide(subtract(c.x(...at), moments.mu), moments.s));
  const own = indicesOfScale(c, at);
  const y = add(multiply(gammaOf(c)(...own), z), renamed("β", c.params.beta)(...own));
  return unlessPadding(c, at, y);
}

const gradientsOfScale = {
  gamma: (c, ...j) => sum("i", rowsOf(c), (i) => multiply(c.dy(...[i].flat(), ...j), zOf(c)(...[i].flat(), ...j))),
  beta: (c, ...j) => sum("i", rowsOf(c), (i) => c.dy(...[i].flat(), ...j)),
};

/** Return the formulas of a normalization of each example; `groupOf` takes the context and indices of x. */
const ofExamples = (groupOf) => ({
  y: (c, ...at) => scaled(c, momentsOf(c, groupOf(c, at)), at),
  dx(c, ...at) {
    const [z, gamma, group] = [zOf(c), gammaOf(c), groupOf(c, at)];
    const dz = (...i) => multiply(c.dy(...i), gamma(...indicesOfScale(c, i)));
    const mean = define("mean(dz)", group.label, meanOf(group, dz));
    const meanOfProduct = define("mean(dz z)", group.label, meanOf(group, (...i) => multiply(dz(...i), z(...i))));
    const centered = subtract(subtract(dz(...at), mean), multiply(z(...at), meanOfProduct));
    return unlessPadding(c, at, divide(centered, momentsOf(c, group).s));
  },
  gradients: gradientsOfScale,
});

/** All entries along the last axes, those of γ. */
function lastAxes(c, indices) {
  const label = indices.slice(0, leading(c));
  const members = places(c.x.shape.slice(leading(c)));
  return { label, members, at: (i) => [...label, ...[i].flat()] };
}

/** The entries of an example that belong to the same group of channels. */
function groupOfChannels(c, [n, ...rest]) {
  const size = c.x.shape.at(-1) / c.options.groups;
  const number = Math.floor(rest.at(-1) / size);
  const channels = range(size).map((k) => number * size + k);
  const members = places([...c.x.shape.slice(1, -1), channels]).filter(([t]) => isCounted(c, [n, t]));
  return { label: [n, number], members, at: (i) => [n, ...[i].flat()] };
}

formulas.LayerNorm = ofExamples(lastAxes);

formulas.GroupNorm = ofExamples(groupOfChannels);

formulas.RMSNorm = {
  y: (c, ...at) => multiply(gammaOf(c)(...indicesOfScale(c, at)), define("z", at, divide(c.x(...at), rootOfMean(c, at)))),
  dx(c, ...at) {
    const [z, gamma, group] = [zOf(c), gammaOf(c), lastAxes(c, at)];
    const dz = (...i) => multiply(c.dy(...i), gamma(...indicesOfScale(c, i)));
    const mean = define("mean(dz z)", group.label, meanOf(group, (...i) => multiply(dz(...i), z(...i))));
    return divide(subtract(dz(...at), multiply(z(...at), mean)), rootOfMean(c, at));
  },
  gradients: gradientsOfScale,
};

/** Return r, the root of the mean square along the last axes. */
function rootOfMean(c, at) {
  const group = lastAxes(c, at);
  return define("r", group.label, squareRoot(add(meanOf(group, (...i) => power(c.x(...i), 2)), epsilonOf(c))));
}

/** Return μ and s of a channel over the batch, and the number n of its entries that count. */
function momentsOfBatch(c, channel) {
  const rows = rowsOf(c);
  const group = { label: [channel], members: rows, at: (i) => [...[i].flat(), channel] };
  return oncePerCall(c, channel, () => ({ ...momentsOf(c, group), n: rows.length }));
}

formulas.BatchNorm = {
  y: (c, ...at) => scaled(c, momentsOfBatch(c, at.at(-1)), at),
  dx(c, ...at) {
    const j = at.at(-1);
    const { s, n } = momentsOfBatch(c, j);
    const [dGamma, dBeta] = [renamed("dγ", c.gradients.gamma), renamed("dβ", c.gradients.beta)];
    const centered = subtract(subtract(c.dy(...at), divide(dBeta(j), n)), multiply(zOf(c)(...at), divide(dGamma(j), n)));
    return unlessPadding(c, at, divide(multiply(gammaOf(c)(j), centered), s));
  },
  gradients: gradientsOfScale,
};
