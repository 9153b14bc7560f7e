import { divide, formulas, multiply, subtract, variable } from "../expressions.js";

/** The formulas of x m / (1 - rate), where `own` gives the indices of the mask for an entry of x. */
function dropoutWith(own) {
  const masked = (c, x, at) => {
    const { rate } = c.options;
    if (rate === 0) return x;
    const m = variable("m", own(at), Number(c.cache.at(...own(at)) > 0));
    return divide(multiply(x, m), subtract(1, variable("rate", [], rate)));
  };
  return {
    y: (c, ...at) => masked(c, c.x(...at), at),
    dx: (c, ...at) => masked(c, c.dy(...at), at),
  };
}

formulas.Dropout = dropoutWith((at) => at);
formulas.SpatialDropout = dropoutWith((at) => at.map((index, axis) => (axis && axis < at.length - 1 ? 0 : index)));
