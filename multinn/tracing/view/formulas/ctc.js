import { add, cases, exp, formulas, log, negate, number, range, stably, subtract, sum, variable } from "../expressions.js";
import { probabilities } from "./distributions.js";
import { intermediate, once } from "./intermediates.js";

/** log Σ_s exp(term(s)). */
function logOfSum(name, states, term) {
  const value = () => {
    const numbers = states.map((s) => term(s).value());
    const largest = Math.max(...numbers, -Number.MAX_VALUE);
    return largest + Math.log(numbers.reduce((total, each) => total + Math.exp(each - largest), 0));
  };
  return stably(log(sum(name, states, (s) => exp(term(s)))), value);
}

/** Return the classes of the states of example n: the labels, with blanks before, between and after them. */
function classesOf({ t, options: { blank } }, n) {
  const labels = range(t.shape[1]).map((place) => t.at(n, place)).filter((label) => label >= 0); // -1 is padding
  return [blank, ...labels.flatMap((label) => [label, blank])];
}

const counts = ({ mask }, n, t) => !mask || Boolean(mask.at(n, t));

/** Return log p, α, β and γ of example n as functions of the time and a state, and the states. */
const pathsOf = (c, n) => once(c, n, () => {
  const classes = classesOf(c, n);
  const states = range(classes.length);
  const times = range(c.y.shape[1]).filter((t) => counts(c, n, t));
  const before = (t) => times[times.indexOf(t) - 1];
  const after = (t) => times[times.indexOf(t) + 1];
  const ends = states.slice(-2);
  const canFollow = (later, s) => later === s || later === s + 1 || (later === s + 2 && classes[later] !== classes[s]);
  const distributions = range(c.y.shape[1]).map((t) => probabilities(c, [n, t]));
  const logP = (t, s) => distributions[t].logP(classes[s] ?? `c(${s})`);
  const plain = (name, found) => (t, s) => variable(name, [t, s], found(t, s).value());
  const alpha = intermediate("α", (t, s) => {
    if (t === times[0]) return s < 2 ? logP(t, s) : number(-Infinity);
    const sources = states.filter((from) => canFollow(s, from));
    return add(logP(t, s), logOfSum("s′", sources, (from) => plain("α", alpha)(before(t), from)));
  });
  const beta = intermediate("β", (t, s) => {
    if (t === times.at(-1)) return number(ends.includes(s) ? 0 : -Infinity);
    const next = states.filter((later) => canFollow(later, s));
    return logOfSum("s″", next, (later) => add(plain("β", beta)(after(t), later), logP(after(t), later)));
  });
  const logProbability = times.length
    ? logOfSum("s", ends, (s) => alpha(times.at(-1), s))
    : number(classes.length > 1 ? -Infinity : 0); // without steps there can be no label
  const loss = variable("l", [n], -logProbability.value());
  const gamma = intermediate("γ", (t, s) => exp(add(alpha(t, s), beta(t, s), loss)));
  return { classes, states, distributions, logProbability, gamma };
});

formulas.CTC = {
  values: (c, n) => negate(pathsOf(c, n).logProbability),
  gradient(c, n, t, j) {
    const { classes, states, distributions, gamma } = pathsOf(c, n);
    if (!counts(c, n, t)) return cases(["at padding", true, 0]);
    const ofClass = states.filter((s) => classes[s] === j);
    return subtract(distributions[t].p(j), sum("s", ofClass, (s) => gamma(t, s)));
  },
};
