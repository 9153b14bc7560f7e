import { add, cases, define, divide, exp, formulas, maximum, minimum, multiply, stably, subtract, sumOverRows, variable } from "../expressions.js";

const forPositive = (x, positive, other) =>
  cases(["for x > 0", x.value() > 0, positive], ["else", true, other]);

formulas.ReLU = {
  y: ({ x }, ...at) => maximum(x(...at), 0),
  dx: ({ x, dy }, ...at) => multiply(dy(...at), forPositive(x(...at), 1, 0)),
};

formulas.ReLU6 = {
  y: ({ x }, ...at) => minimum(maximum(x(...at), 0), 6),
  dx({ y, dy }, ...at) {
    const between = y.at(...at) > 0 && y.at(...at) < 6;
    return multiply(dy(...at), cases(["for 0 < x < 6", between, 1], ["else", true, 0]));
  },
};

/** The formulas of y = x for x > 0, else a x. */
const leaky = (slope) => ({
  y: (c, ...at) => forPositive(c.x(...at), c.x(...at), multiply(slope(c, at), c.x(...at))),
  dx: (c, ...at) => multiply(c.dy(...at), forPositive(c.x(...at), 1, slope(c, at))),
});

formulas.LeakyReLU = leaky(({ options }) => variable("a", [], options.negative_slope));

formulas.PReLU = {
  ...leaky(({ params }, at) => params.a(at.at(-1))),
  gradients: {
    a: ({ x, dy }, j) => sumOverRows(x, (at) => multiply(dy(...at, j), minimum(x(...at, j), 0))),
  },
};

formulas.ELU = {
  y({ x: entry, options }, ...at) {
    const [x, alpha] = [entry(...at), variable("α", [], options.alpha)];
    const exponential = stably(subtract(exp(x), 1), () => Math.expm1(x.value()));
    return forPositive(x, x, multiply(alpha, exponential));
  },
  dx({ x, dy, options }, ...at) {
    return multiply(dy(...at), forPositive(x(...at), 1, multiply(variable("α", [], options.alpha), exp(x(...at)))));
  },
};

const hardSigmoid = ({ x }, at) =>
  define("g", at, divide(minimum(maximum(add(x(...at), 3), 0), 6), 6));

formulas.HardSwish = {
  y: (c, ...at) => multiply(c.x(...at), hardSigmoid(c, at)),
  dx(c, ...at) {
    const g = hardSigmoid(c, at);
    const between = g.value() > 0 && g.value() < 1;
    const slope = define("g′", at, cases(["for −3 < x < 3", between, divide(1, 6)], ["else", true, 0]));
    return multiply(c.dy(...at), add(g, multiply(c.x(...at), slope)));
  },
};
