import { add, cases, define, divide, formulas, maximum, multiply, negate, power, range, subtract, sum, variable } from "../expressions.js";
import { entries } from "../arrays.js";
import { targetClass } from "./distributions.js";
import { meanOfEntries, meanOfPositions, shareOfEntry, shareOfPosition } from "./means.js";

const scoresOf = (c) => entries("z", c.y.array);
const perhapsSquared = (c, h) => (c.options.squared ? power(h, 2) : h);

/** The derivative of h by its argument, or of h². */
const slopeOfHinge = (c, h) =>
  (c.options.squared ? multiply(2, h) : cases(["if h > 0", h.value() > 0, 1], ["else", true, 0]));

const hinge = (c, at) => define("h", at, maximum(0, subtract(1, multiply(c.t(...at), scoresOf(c)(...at)))));

formulas.Hinge = {
  values: (c, n) => meanOfEntries(c.y, (...at) => perhapsSquared(c, hinge(c, [n, ...at]))),
  gradient: (c, ...at) => shareOfEntry(c.y, negate(multiply(c.t(...at), slopeOfHinge(c, hinge(c, at))))),
};

/** Return h_k and the classes other than the target's. */
function margins(c, at) {
  const [z, t, margin] = [scoresOf(c), targetClass(c, at), variable("margin", [], c.options.margin)];
  const h = (k) => define("h", [...at, k], maximum(0, subtract(add(margin, z(...at, k)), z(...at, t))));
  return { h, others: range(c.y.shape.at(-1)).filter((k) => k !== t) };
}

formulas.MultiClassHinge = {
  values: (c, n) => meanOfPositions(c.y, (...rest) => {
    const { h, others } = margins(c, [n, ...rest]);
    return divide(sum("k", others, (k) => perhapsSquared(c, h(k))), c.y.shape.at(-1));
  }),
  gradient(c, ...indices) {
    const [at, j] = [indices.slice(0, -1), indices.at(-1)];
    const { h, others } = margins(c, at);
    const of = (k) => slopeOfHinge(c, h(k));
    const total = others.includes(j) ? of(j) : negate(sum("k", others, of));
    return shareOfPosition(c.y, divide(total, c.y.shape.at(-1)));
  },
};
