// Elements of the page, and numbers as text.

import { formatNumber } from "./expressions.js";
import { extremes } from "./arrays.js";

/** Return an element of a page; attributes that start with "on" are listeners, `style` is an object. */
export const html = (tag, attributes, ...children) => built(document.createElement(tag), attributes, children);

/** Return an element of a drawing. */
export const svg = (tag, attributes, ...children) =>
  built(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function built(element, attributes = {}, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, each]) => element.style.setProperty(key, each));
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return a formula, given as MathML, on a line of its own. */
export function formula(markup) {
  const line = html("div", { class: "mn-line" });
  line.innerHTML = `<math display="block">${markup}</math>`;
  return line;
}

/** Return a number of an array with the digits that tell it from all others of its dtype. */
export function allDigits(value, dtype) {
  if (!Number.isFinite(value)) return formatNumber(value);
  const candidates = dtype === "float32" ? [6, 7, 8, 9].map((count) => Number(value.toPrecision(count))) : [];
  return String(candidates.find((each) => Math.fround(each) === value) ?? value).replace(/-/g, "−");
}

/** Return a shape in words; a row of numbers is told by their count. */
export function shapeText(shape) {
  if (shape.length > 1) return shape.join(" × ");
  return (shape[0] ?? 1) === 1 ? "one number" : `${shape[0]} numbers`;
}

/** Return a text of at most that many letters. */
export const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Return the place of the number with the largest absolute value. */
export const placeOfLargest = (numbers) =>
  numbers.reduce((best, value, place) => (Math.abs(value) > Math.abs(numbers[best]) ? place : best), 0);

/** Return an array in words. */
export function summaryOf(array) {
  if (!array.size) return "no numbers";
  const { low, high, mean } = extremes(array);
  if (low > high) return "all NaN";
  return `smallest ${formatNumber(low)}, largest ${formatNumber(high)}, mean ${formatNumber(mean)}`;
}

/** Return the class and the share of the largest number, for a tint that tells sign and size. */
export function tint(value, size) {
  const kind = value < 0 ? "mn-minus" : value > 0 ? "mn-plus" : "mn-zero";
  return { class: kind, style: { "--mn-share": size ? Math.min(1, Math.abs(value) / size).toFixed(3) : 0 } };
}

/** Scroll a box, and nothing else, so that an element in it is visible, or its beginning if it is larger than the box. */
export function reveal(box, element) {
  const [outer, inner] = [box.getBoundingClientRect(), element.getBoundingClientRect()];
  const distance = (start, end) => start < 0 ? start - 8 : end > 0 ? Math.max(0, Math.min(start - 8, end + 8)) : 0;
  box.scrollLeft += distance(inner.left - outer.left, inner.right - outer.right);
  box.scrollTop += distance(inner.top - outer.top, inner.bottom - outer.bottom);
}
