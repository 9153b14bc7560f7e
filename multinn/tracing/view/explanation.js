// Formulas of chosen entries with their numbers, the code that ran, and the documentation.

import { definitions, formatNumber, numberMarkup, variable } from "./expressions.js";
import { errorOf } from "./results.js";
import { allDigits, formula, html } from "./elements.js";

const TOLERANCES = { float64: 1e-12, float32: 1e-5 };
const MOST_UNFOLDED = 5; // definitions that are shown at once

const CALLS_FORWARD = "Layer.forward_with_state"; // and does nothing else

const equal = "<mo>=</mo>", becomes = "<mo>←</mo>";

/** Return the parts of an equation: in symbols, with numbers unless these are the value, and the value. */
function equation(symbol, sign, expression) {
  const [numbers, value] = [expression.numbers(), numberMarkup(expression.value())];
  const text = (markup) => markup.replace(/<[^>]*>/g, "");
  const isValue = text(numbers) === text(value);
  const sides = [symbol + sign + expression.symbols(), ...(isValue ? [] : [equal + numbers]), equal + value];
  return sides.map((markup) => formula(`<mrow>${markup}</mrow>`));
}

/**
 * Return the formula of one entry of a result: in symbols, with numbers, and its value.
 *
 * @param symbolName the name of the result in its formula.
 * @param isUpdate whether the result takes the place of what the formula contains.
 */
export function explain({ name, array, formula: formulaOf }, place, dtype, symbolName, isUpdate) {
  const indices = array.indicesOf(place);
  const expression = formulaOf(...indices);
  const symbol = variable(symbolName, indices, NaN).symbols();
  const [general, ...withNumbers] = equation(symbol, isUpdate ? becomes : equal, expression);
  return html("section", { class: "mn-formula", "data-name": name },
    html("div", { class: "mn-scroll" }, general, drawDefinitions(definitions(expression)), withNumbers),
    recorded(array, place, expression, dtype));
}

/** Return an equation for each definition; many are drawn when they are asked for. */
function drawDefinitions(named) {
  const draw = () => named.map((each) =>
    html("div", { class: "mn-definition" }, equation(each.symbols(), equal, each.definition)));
  if (named.length <= MOST_UNFOLDED) return draw();
  const unfold = ({ target }) => {
    if (target.children.length === 1) target.append(...draw());
  };
  const names = [...new Set(named.map(({ name }) => name))].join(", ");
  return html("details", { ontoggle: unfold }, html("summary", {}, `with ${names}`));
}

/** Return the recorded number, and whether the formula gives the same. */
function recorded(array, place, expression, dtype) {
  const [number, value] = [array.numbers[place], expression.value()];
  const rounded = array.dtype === "float32" ? Math.fround(value) : value; // which can be infinite
  const isSame = errorOf(array, place, expression) <= TOLERANCES[dtype] || Object.is(rounded, number);
  const verdict = isSame ? "the formula gives the same" : `but the formula gives ${formatNumber(value)}`;
  return html("div", { class: isSame ? "mn-note mn-same" : "mn-note mn-differs" },
    `recorded: ${allDigits(number, array.dtype)}; ${verdict}`);
}

/** Return the functions that ran in a pass, with the lines that ran marked, as one fold, or nothing. */
export function drawCode(trace, part, pass, isOpen) {
  const listings = (part.code?.[pass] ?? []).map((index) => trace.data.code[index])
    .filter(({ name }) => name !== CALLS_FORWARD);
  const drawn = listings.map(({ source, ran }) => html("pre", { class: "mn-scroll", tabindex: 0 },
    source.split("\n").map((text, k) => html("span", { class: ran.includes(k) ? "mn-ran" : "" }, `${text}\n`))));
  const title = html("summary", {}, "The code; the lines that ran are marked");
  return drawn.length ? [html("details", { class: "mn-code", open: isOpen }, title, drawn)] : [];
}

/** Return the documentation of a part as one fold, or nothing. */
export function drawDocumentation({ class: name, documentation }) {
  const title = html("summary", {}, `Documentation of ${name}`);
  const text = html("pre", { class: "mn-scroll", tabindex: 0 }, documentation);
  return documentation ? [html("details", { class: "mn-documentation" }, title, text)] : [];
}
