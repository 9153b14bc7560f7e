// Expressions. One tree gives the formula in symbols, the same formula with its numbers, and its value.
//
// A node has `value()`, a number; `symbols()` and `numbers()`, MathML as text; `precedence`, for
// parentheses; and `parts`, the nodes in it.

const SUM = 1, PRODUCT = 2, SIGN = 3, POWER = 4, ATOM = 5;
const MOST_TERMS = 4; // of a long sum that are shown with their numbers
const MOST_ALIKE = 3; // definitions of one name that are shown

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const mi = (name) => `<mi>${escape(name)}</mi>`;
const mn = (digits) => `<mn>${escape(digits)}</mn>`;
const mo = (sign) => `<mo>${escape(sign)}</mo>`;
const TIMES = '<mo rspace=".1em">\u2062</mo>'; // invisible
const row = (...markup) => `<mrow>${markup.join("")}</mrow>`;

/** Return the name of a variable: each letter of dy, β₁ or u′ is a symbol, which is italic. */
function symbolMarkup(name) {
  if (/^\p{L}\u0302$/u.test(name)) return `<mover accent="true">${mi(name[0])}<mo>^</mo></mover>`;
  return /^d?\p{L}[′₁₂kqvo]?$/u.test(name) ? row(...[...name].map(mi)) : mi(name);
}

/** Return a name with its indices. "x age" is x with the label "age", its entry in a dict of arrays. */
function nameMarkup(name, indices) {
  const [, base, label] = /^(d?\p{L}) (.+)$/su.exec(name) ?? [name, name, ""];
  const below = indices.length ? indexMarkup(indices) : "";
  if (!label) return below ? `<msub>${symbolMarkup(base)}${below}</msub>` : symbolMarkup(base);
  const above = `<mtext>${escape(/^\d/.test(label) ? `(${label})` : label)}</mtext>`; // a number is no exponent
  return below ? `<msubsup>${symbolMarkup(base)}${below}${above}</msubsup>` : `<msup>${symbolMarkup(base)}${above}</msup>`;
}

/** Return indices, with commas unless they are one or two letters or digits. */
function indexMarkup(indices) {
  const isShort = indices.length < 3 && indices.every((index) => String(index).length === 1);
  const each = indices.map((index) => (typeof index === "number" ? mn(String(index).replace("-", "−")) : mi(index)));
  return row(each.join(isShort ? "" : '<mo rspace="0">,</mo>'));
}

/** Return a number as a reader writes it, whole if it is short, else with four significant digits. */
export function formatNumber(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const whole = String(value);
  const text = whole.length <= 8 && !whole.includes("e") ? whole
    : size >= 1e5 || size < 1e-3 ? value.toExponential(3)
    : value.toPrecision(4);
  return text.replace(/-/g, "−").replace("+", "");
}

/** Return a number as MathML: a power of ten is written as one. */
export function numberMarkup(value) {
  const [digits, exponent] = formatNumber(value).split("e");
  const sign = digits.startsWith("−") ? mo("−") : "";
  const mantissa = mn(digits.replace("−", ""));
  if (exponent === undefined) return row(sign, mantissa);
  return row(sign, mantissa, mo("·"), `<msup>${mn(10)}${mn(exponent)}</msup>`);
}

/** Return a function that computes its result in its first call. */
export function lazy(compute) {
  let known;
  return () => (known ??= compute());
}

function node(precedence, parts, value, markup, markupOfNumbers = markup) {
  return {
    precedence,
    parts,
    value: lazy(value),
    symbols: () => markup((part) => part.symbols()),
    numbers: () => markupOfNumbers((part) => part.numbers()),
  };
}

const startsWithMinus = (markup) => /^(<mrow>)*<mo>−/.test(markup);

/** Return the markup of a part, in parentheses if it binds less tightly, or puts a minus after a sign. */
function bracketed(part, draw, precedence, isFirst = false) {
  const markup = draw(part);
  return part.precedence < precedence || (!isFirst && startsWithMinus(markup)) ? row(mo("("), markup, mo(")")) : markup;
}

const joinedMarkup = (parts, sign, draw, precedence) =>
  parts.map((part, k) => (k ? sign : "") + bracketed(part, draw, precedence, k === 0)).join("");
const joined = (...all) => row(joinedMarkup(...all));

/** The same expression, with a value from a formula that rounds less or cannot overflow. */
export const stably = (expression, value) => ({ ...expression, value });

/** A number that is the same in symbols. */
export const number = (value) => {
  const draw = () => numberMarkup(value);
  return node(ATOM, [], () => value, draw);
};

const asNode = (part) => (typeof part === "number" ? number(part) : part);

/** A variable with indices, such as x_ni, and its value. */
export function variable(name, indices, value) {
  const symbols = () => nameMarkup(name, indices);
  // Sums have many variables, and a literal is made much faster than a copy of another object.
  return {
    precedence: ATOM, parts: [], name, value: () => value, symbols, numbers: () => numberMarkup(value),
    key: () => `${name}[${indices}]`,
  };
}

/** A variable whose value is an expression, which is shown on a line of its own. */
export const define = (name, indices, expression) => ({
  ...variable(name, indices, undefined),
  value: expression.value,
  numbers: () => numberMarkup(expression.value()),
  definition: expression,
});

export const add = (...parts) => {
  const nodes = parts.map(asNode);
  return node(SUM, nodes, () => nodes.reduce((total, part) => total + part.value(), 0), (draw) =>
    joined(nodes, mo("+"), draw, SUM));
};

export const subtract = (a, b) => {
  const [left, right] = [asNode(a), asNode(b)];
  return node(SUM, [left, right], () => left.value() - right.value(), (draw) =>
    row(bracketed(left, draw, SUM, true), mo("−"), bracketed(right, draw, PRODUCT)));
};

export const multiply = (...parts) => {
  const nodes = parts.map(asNode);
  if (nodes.length === 1) return nodes[0];
  const markup = (sign) => (draw) => joined(nodes, sign, draw, PRODUCT);
  return node(PRODUCT, nodes, () => nodes.reduce((total, part) => total * part.value(), 1), markup(TIMES), markup(mo("·")));
};

export const divide = (a, b) => {
  const [above, below] = [asNode(a), asNode(b)];
  return node(ATOM, [above, below], () => above.value() / below.value(), (draw) =>
    `<mfrac>${row(draw(above))}${row(draw(below))}</mfrac>`);
};

export const negate = (a) => {
  const part = asNode(a);
  return node(SIGN, [part], () => -part.value(), (draw) => row(mo("−"), bracketed(part, draw, SIGN)));
};

export const power = (a, exponent) => {
  const [base, above] = [asNode(a), asNode(exponent)];
  return node(POWER, [base, above], () => base.value() ** above.value(), (draw) =>
    `<msup>${row(bracketed(base, draw, ATOM))}${row(draw(above))}</msup>`);
};

export const squareRoot = (a) => {
  const part = asNode(a);
  return node(ATOM, [part], () => Math.sqrt(part.value()), (draw) => `<msqrt>${draw(part)}</msqrt>`);
};

/** A function with a name, such as tanh, of some arguments. */
export const apply = (name, compute, ...parts) => {
  const nodes = parts.map(asNode);
  return node(ATOM, nodes, () => compute(...nodes.map((part) => part.value())), (draw) =>
    row(mi(name), mo("("), nodes.map((part) => draw(part)).join(mo(",")), mo(")")));
};

export const exp = (a) => apply("exp", Math.exp, a);
export const log = (a) => apply("log", Math.log, a);
export const tanh = (a) => apply("tanh", Math.tanh, a);
export const absolute = (a) => {
  const part = asNode(a);
  return node(ATOM, [part], () => Math.abs(part.value()), (draw) => row(mo("|"), draw(part), mo("|")));
};
export const maximum = (...parts) => apply("max", Math.max, ...parts);
export const minimum = (...parts) => apply("min", Math.min, ...parts);

/** The first of some cases, each [condition as text, whether it holds, expression], that holds. */
export const cases = (...choices) => {
  const found = asNode((choices.find(([, holds]) => holds) ?? choices.at(-1))[2]);
  const lines = () => choices.map(([condition, , part]) =>
    `<mtr><mtd>${asNode(part).symbols()}</mtd><mtd><mtext>${escape(condition)}</mtext></mtd></mtr>`);
  return {
    ...node(found.precedence, [found], () => found.value(), (draw) => draw(found)),
    symbols: () => row(mo("{"), `<mtable displaystyle="true">${lines().join("")}</mtable>`),
  };
};

/** Return the indices 0 to count - 1. */
export const range = (count) => [...Array(count).keys()];

/**
 * A function of the values of a term over some indices.
 *
 * There may be very many terms, so only some are kept, in `shown`: `choose` returns their numbers, given
 * the values of all.
 */
function over(sign, names, values, term, total, choose) {
  const all = lazy(() => (Array.isArray(names) ? places(values) : indexValues(values).map((k) => [k])));
  const termAt = (indices) => asNode(term(...indices));
  const found = lazy(() => all().map((indices) => termAt(indices).value()));
  const general = `<munder>${mo(sign)}${mi([names].flat().join(","))}</munder>`;
  return {
    ...node(SUM, [], () => total(found())),
    symbols: () => row(general, bracketed(termAt([names].flat()), (part) => part.symbols(), PRODUCT)),
    count: () => all().length,
    shown: lazy(() => choose(found()).map((k) => termAt(all()[k]))),
  };
}

const indexValues = (values) => (typeof values === "number" ? range(values) : values);

/** Return all combinations of the values of some indices, each a count or an array, the last one fastest. */
export function places(values) {
  return values.reduce((found, each) => found.flatMap((at) => indexValues(each).map((k) => [...at, k])), [[]]);
}

/**
 * The sum of a term over an index, or over several.
 *
 * @param names the name of the index, for the symbols; an array for several.
 * @param values the values of the index: a count, or an array; an array of these for several.
 * @param term takes a value of each index, or its name, and returns an expression. With names, only the
 *   symbols of the expression are used.
 */
export function sum(names, values, term) {
  const total = (found) => found.reduce((before, each) => before + each, 0);
  const all = over("∑", names, values, term, total, placesOfLargest);
  const numbers = () => {
    const shown = all.shown();
    if (!shown.length) return numberMarkup(0);
    const left = all.count() - shown.length;
    const rest = left ? `${mo("+")}<mtext>⋯ (${left} more)</mtext>` : "";
    return row(joinedMarkup(shown, mo("+"), (part) => part.numbers(), SUM), rest);
  };
  return { ...all, numbers };
}

/** Return the places of the terms of a sum that are shown: of the largest, if it is long. */
function placesOfLargest(found) {
  const all = range(found.length);
  if (all.length <= MOST_TERMS + 2) return all;
  return all.sort((a, b) => Math.abs(found[b]) - Math.abs(found[a])).slice(0, MOST_TERMS);
}

const ROWS = ["n", "t", "r", "c"], ENTRIES = ["j", "k", "l", "m"];

/** The sum over all axes of an array but the last; the term takes the indices as an array. */
export const sumOverRows = ({ shape }, term) =>
  sum(ROWS.slice(0, shape.length - 1), shape.slice(0, -1), (...at) => term(at));

/** The sum over the entries of example n of an array; the term takes the indices of an entry. */
export const sumOfEntries = ({ shape }, n, term) =>
  sum(ENTRIES.slice(0, shape.length - 1), shape.slice(1), (...at) => term(n, ...at));

/** The largest value of a term over an index, with the arguments of `sum`. */
export function largest(names, values, term) {
  const most = (found) => found.reduce((a, b) => Math.max(a, b), -Infinity);
  const all = over("max", names, values, term, most, (found) => range(Math.min(found.length, 9)));
  const numbers = () => {
    const shown = all.shown().map((part) => part.numbers());
    return row(mi("max"), mo("("), shown.join(mo(",")), all.count() > shown.length ? mo(",") + mo("⋯") : "", mo(")"));
  };
  return { ...all, precedence: ATOM, numbers };
}

/** Return the largest absolute value of a term of a sum, or of anything else. */
export function largestTerm(expression) {
  const terms = expression.shown?.() ?? (expression.precedence === SUM ? expression.parts : []);
  return Math.max(Math.abs(expression.value()), ...terms.map(largestTerm));
}

/** Return the first definitions of each name that an expression shows, each before the first that uses it. */
export function definitions(expression, found = new Map()) {
  for (const part of expression.shown?.() ?? expression.parts) definitions(part, found);
  const alike = [...found.values()].filter(({ name }) => name === expression.name).length;
  if (expression.definition && alike < MOST_ALIKE && !found.has(expression.key())) {
    definitions(expression.definition, found);
    found.set(expression.key(), expression);
  }
  return [...found.values()];
}

/** The formulas of all classes by name; each file in formulas/ adds some. */
export const formulas = {};
