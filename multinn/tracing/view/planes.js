// Where the entries of an array are drawn: in planes of rows and columns.

import { range } from "./expressions.js";

const MOST_PLANES = 16;

/** Return whether one example of an array is drawn: its image, or one of several axes. */
export const isDrawnAlone = ({ shape }) =>
  shape.length > 2 || (shape.length === 2 && shape[1] >= 64 && Number.isInteger(Math.sqrt(shape[1])));

/**
 * Return the planes in which an array is drawn: { label, left, rows, columns, first, down, right }.
 *
 * `left` is the number of further planes, which are not drawn; `isRow` tells a row of numbers drawn as an image.
 * The entry at a row and a column of a plane is number `first + row * down + column * right`.
 *
 * @param example the example that is drawn, of an array whose first axis are the examples; else null.
 * @param channelsLast whether planes are those of the last axes, as of images, or of the first ones.
 */
export function planesOf(array, example, channelsLast) {
  const { shape } = array;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const isOneExample = example !== null && isDrawnAlone(array);
  const start = isOneExample ? example * strides[0] : 0;
  const [lengths, steps] = isOneExample ? [shape.slice(1), strides.slice(1)] : [shape, strides];
  if (isOneExample && lengths.length === 1) {
    const side = Math.sqrt(lengths[0]);
    return [{ label: "", left: 0, rows: side, columns: side, first: start, down: side, right: 1, isRow: true }];
  }
  const [down, right] = channelsLast && lengths.length > 2 ? [0, 1] : [lengths.length - 2, lengths.length - 1];
  const others = lengths.map((_, axis) => axis).filter((axis) => axis !== down && axis !== right);
  const count = others.reduce((product, axis) => product * lengths[axis], 1);
  return range(Math.min(count, MOST_PLANES)).map((k) => {
    const at = lengths.map(() => ":");
    let [rest, first] = [k, start];
    for (const axis of [...others].reverse()) {
      at[axis] = rest % lengths[axis];
      first += at[axis] * steps[axis];
      rest = Math.floor(rest / lengths[axis]);
    }
    return {
      label: count > 1 ? `[${at.join(", ")}]` : "", left: count - MOST_PLANES, first,
      rows: lengths[down] ?? 1, columns: lengths[right] ?? 1, down: steps[down] ?? 0, right: steps[right] ?? 0,
    };
  });
}

/** Return where an entry is drawn: { plane, row, column }, or null. */
export function positionOf(planes, place) {
  for (const [plane, { rows, columns, first, down, right }] of planes.entries()) {
    for (let row = 0; row < rows; row += 1) {
      const rest = place - first - row * down;
      const column = right ? rest / right : 0;
      const isHere = Number.isInteger(column) && column >= 0 && column < columns && rest === column * right;
      if (isHere) return { plane, row, column };
    }
  }
  return null;
}

/** Return the place of the entry below, above or beside another one; the last one stays. */
export function moved(planes, place, [down, right]) {
  const at = positionOf(planes, place) ?? { plane: 0, row: 0, column: 0 };
  let plane = at.plane, column = at.column + right;
  if (column < 0 && plane > 0) [plane, column] = [plane - 1, Infinity];
  else if (column >= planes[plane].columns && plane < planes.length - 1) [plane, column] = [plane + 1, 0];
  const { rows, columns, first, down: below, right: beside } = planes[plane];
  const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
  return first + clamp(at.row + down, rows) * below + clamp(column, columns) * beside;
}

/** Return the place of the entry under the pointer, or null. */
export function placeAt(event, planes) {
  const cell = event.target.closest("[data-place]");
  if (cell) return Number(cell.dataset.place);
  const drawn = event.target.closest(".mn-map");
  if (!drawn) return null;
  const plane = planes[drawn.dataset.plane];
  const { left, top, width, height } = drawn.getBoundingClientRect();
  const index = (offset, length, count) => Math.max(0, Math.min(count - 1, Math.floor((offset / length) * count)));
  return plane.first + index(event.clientY - top, height, plane.rows) * plane.down
    + index(event.clientX - left, width, plane.columns) * plane.right;
}
