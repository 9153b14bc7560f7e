// Windows on images and sequences.

import { range } from "../expressions.js";

/** Return a hyperparameter, such as 2, "(2, 3)" or "same", with an entry for each of so many axes. */
function perAxis(value, count) {
  const isTuple = typeof value === "string" && value.startsWith("(");
  const found = isTuple ? JSON.parse(value.replaceAll("(", "[").replaceAll(")", "]")) : value;
  return count === 1 || !isTuple ? Array(count).fill(found) : found;
}

/** Return a + b k; as text if the index k is a name. */
export function shifted(a, b, k) {
  if (Number.isInteger(k)) return a + b * k;
  const term = Math.abs(b) === 1 ? k : `${Math.abs(b)}${k}`;
  if (b < 0) return `${a}−${term}`;
  return a ? `${term}${a > 0 ? "+" : "−"}${Math.abs(a)}` : term;
}

/**
 * Return the windows along each axis of an image, (batch, space..., channels).
 *
 * @param windows an array with one entry for each window: (batch, windows along each axis..., channels).
 */
export function windowsOn(image, windows, { size, stride, padding, dilation = 1 }) {
  const count = image.shape.length - 2;
  const each = [size, stride, padding, dilation].map((value) => perAxis(value, count));
  return range(count).map((k) =>
    windowsAlong(image.shape[k + 1], windows.shape[k + 1], ...each.map((values) => values[k])));
}

/** The windows along an axis of some length. Place i of window h lies at s h + d i - p. */
function windowsAlong(length, count, size, stride, padding, dilation) {
  const extent = dilation * (size - 1) + 1;
  const missing = Math.max((Math.ceil(length / stride) - 1) * stride + extent - length, 0);
  const before = { valid: 0, same: Math.floor(missing / 2), causal: extent - 1 }[padding] ?? padding[0];
  const after = { valid: 0, same: Math.ceil(missing / 2), causal: 0 }[padding] ?? padding[1];
  const isWindow = (h) => Number.isInteger(h) && h >= 0 && h < count;
  const isInside = (position) => position >= 0 && position < length;
  const position = (h, i) => (Number.isInteger(h)
    ? shifted(stride * h - before, dilation, i) : shifted(dilation * i - before, stride, h));
  const window = (at, i) => {
    const distance = shifted(at + before, -dilation, i);
    if (Number.isInteger(i)) return distance / stride;
    return stride === 1 ? distance : `(${distance})/${stride}`;
  };
  return {
    size,
    /** The position of place i of window h; one of both may be a name. */
    position,
    /** The window whose place i lies at a position; i may be a name. */
    window,
    /** The places of window h that do not lie on the padding. */
    placesOf: (h) => range(size).filter((i) => isInside(position(h, i))),
    /** How many places of window h lie on the image or its padding; in ceil mode, some may lie beyond. */
    countOf: (h) => range(size).filter((i) => position(h, i) < length + after).length,
    /** The places that lie at a position in some window. */
    placesAt: (at) => range(size).filter((i) => isWindow(window(at, i))),
    /** The windows whose place i does not lie on the padding. */
    windowsOf: (i) => range(count).filter((h) => isInside(position(h, i))),
  };
}

/** Names of the indices of places in a window, and of windows, for so many axes. */
export const placeNames = (count) => ["i", "j"].slice(0, count);
export const windowNames = (count) => (count === 1 ? ["l"] : ["h", "w"]);
