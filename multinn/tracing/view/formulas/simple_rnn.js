import { add, cases, formulas, maximum, multiply, power, subtract, tanh } from "../expressions.js";
import { recurrent } from "./recurrent.js";

formulas.SimpleRNN = recurrent({
  h(s, n, t, u) {
    const z = add(s.a(n, t, u), s.s(n, t, u));
    return s.options.activation === "tanh" ? tanh(z) : maximum(z, 0);
  },
  da(s, d, n, t, u) {
    const [h, dh] = [s.h(n, t, u), d.dh(n, t, u)];
    if (s.options.activation === "tanh") return [multiply(dh, subtract(1, power(h, 2)))];
    return [cases(["if h > 0", h.value() > 0, dh], ["else", true, 0])];
  },
});
