// An array as a table of numbers where it is small, otherwise as a heat map.

import { formatNumber, range } from "./expressions.js";
import { allDigits, extremes, html, reveal, shapeText, summaryOf, tint } from "./elements.js";

export const MOST_CELLS = 64; // of a table
const MOST_COLUMNS = 12, MOST_PLANES = 16;
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Return whether one example of an array is drawn: its image, or one of several axes. */
export const isDrawnAlone = ({ shape }) =>
  shape.length > 2 || (shape.length === 2 && shape[1] >= 64 && Number.isInteger(Math.sqrt(shape[1])));

/**
 * Return the planes in which an array is drawn: { label, rows, columns, first, down, right }.
 *
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
    return [{ label: "", rows: side, columns: side, first: start, down: side, right: 1 }];
  }
  const [down, right] = lengths.length < 3 ? [lengths.length - 2, lengths.length - 1]
    : channelsLast ? [0, 1] : [lengths.length - 2, lengths.length - 1];
  const others = lengths.map((_, axis) => axis).filter((axis) => axis !== down && axis !== right);
  const count = others.reduce((product, axis) => product * lengths[axis], 1);
  return range(Math.min(count, MOST_PLANES)).map((k) => {
    let [rest, first, at] = [k, start, lengths.map(() => ":")];
    for (const axis of [...others].reverse()) {
      at[axis] = rest % lengths[axis];
      first += at[axis] * steps[axis];
      rest = Math.floor(rest / lengths[axis]);
    }
    return {
      label: count > 1 ? `[${at.join(", ")}]` : "", left: count - MOST_PLANES,
      rows: lengths[down] ?? 1, columns: lengths[right] ?? 1, first, down: steps[down] ?? 0, right: steps[right] ?? 0,
    };
  });
}

// Red, green and blue of a heat map: their brightness grows with the number, so that signs are seen without colour.
const NEGATIVE = [16, 24, 90], ZERO = [138, 138, 144], POSITIVE = [255, 214, 110];

/** Return a canvas with a colour for each number of a plane, from dark (negative) to bright (positive). */
export function heatMap(array, { rows, columns, first, down, right }) {
  const canvas = html("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const { size } = extremes(array);
  const { numbers } = array;
  let k = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, k += 4) {
      const share = size ? numbers[first + row * down + column * right] / size : 0;
      const end = share < 0 ? NEGATIVE : POSITIVE;
      for (let c = 0; c < 3; c += 1) image.data[k + c] = ZERO[c] + Math.abs(share) * (end[c] - ZERO[c]);
      image.data[k + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function table(array, plane, number) {
  const { rows, columns } = plane;
  const { size } = extremes(array);
  const cell = (row, column) => {
    const place = plane.first + row * plane.down + column * plane.right;
    const value = array.numbers[place];
    const title = allDigits(value, array.dtype);
    return html("td", { "data-place": place, title, ...tint(value, size) }, formatNumber(value));
  };
  const hasRows = array.shape.length > 1;
  const corner = hasRows ? html("td", {}) : null;
  const head = array.size > 1 ? html("tr", {}, corner, range(columns).map((k) => html("th", { scope: "col" }, k))) : "";
  const body = range(rows).map((row) =>
    html("tr", {}, hasRows ? html("th", { scope: "row" }, row) : null, range(columns).map((column) => cell(row, column))));
  return html("table", { "data-plane": number, "aria-label": plane.label || null }, html("thead", {}, head), html("tbody", {}, body));
}

function map(array, plane, number, name) {
  const { rows, columns } = plane;
  const side = Math.max(1, Math.min(12, Math.floor(340 / columns), Math.floor(300 / rows)));
  const canvas = heatMap(array, plane);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name} ${plane.label}: ${summaryOf(array)}`);
  const style = { width: `${side * columns}px`, height: `${Math.max(side * rows, 14)}px` };
  return html("div", { class: "mn-map", "data-plane": number, style }, canvas, html("div", { class: "mn-cursor" }));
}

/**
 * Return an array as a figure.
 *
 * An entry is chosen by a click, or by the arrow keys.
 *
 * @param array the array, with its name and what it is in words.
 * @param planes what of it is drawn, as `planesOf` returns it.
 * @param chosen the place of the entry that is chosen, or null.
 * @param onChoose takes the place of an entry that was chosen.
 * @param onEdit takes the place of an entry and its new number; undefined where nothing can be changed.
 */
export function drawArray({ name, meaning, array, planes, chosen = null, isResult, onChoose, onEdit }) {
  const isTable = planes.length * planes[0].rows * planes[0].columns <= MOST_CELLS && planes[0].columns <= MOST_COLUMNS;
  const drawn = !array.size ? []
    : planes.map((plane, k) => html("div", {}, (isTable ? table : map)(array, plane, k, name),
      plane.label ? html("div", { class: "mn-note" }, plane.label) : null));
  const box = html("div", { class: "mn-scroll mn-planes", tabindex: 0, role: "group", "aria-label": `${name}, ${shapeText(array.shape)}` }, drawn);
  const readout = html("div", { class: "mn-note", "aria-live": "polite" }, isTable ? "" : summaryOf(array));
  const left = planes[0]?.left > 0 ? `${planes[0].left} more are not drawn` : "";
  let cursor = chosen;

  const nameOf = (place) => `${name}${array.shape.length ? `[${array.indicesOf(place).join(", ")}]` : ""}`;
  const say = (place) => {
    if (!isTable) readout.replaceChildren(`${nameOf(place)} = ${allDigits(array.numbers[place], array.dtype)}`);
  };

  function mark(place) {
    const at = positionOf(planes, place);
    for (const cell of box.querySelectorAll(".mn-chosen")) cell.classList.remove("mn-chosen");
    if (!at) return null;
    const plane = box.querySelector(`[data-plane="${at.plane}"]`);
    if (isTable) {
      const cell = plane.querySelector(`[data-place="${place}"]`);
      cell.classList.add("mn-chosen");
      return cell;
    }
    const { rows, columns } = planes[at.plane];
    plane.classList.add("mn-chosen");
    const frame = plane.querySelector(".mn-cursor");
    Object.assign(frame.style, {
      left: `${(100 * at.column) / columns}%`, top: `${(100 * at.row) / rows}%`,
      width: `${100 / columns}%`, height: `${100 / rows}%`,
    });
    return frame;
  }

  function choose(place) {
    cursor = place;
    const marked = mark(place);
    if (marked) reveal(box, marked);
    say(place);
    onChoose?.(place);
    if (onEdit) readout.replaceChildren(editor(nameOf(place), array, place, onEdit));
  }

  box.addEventListener("click", (event) => {
    const place = placeAt(event, planes);
    if (place !== null) choose(place);
  });
  box.addEventListener("pointermove", (event) => {
    const place = isTable || onEdit ? null : placeAt(event, planes);
    if (place !== null) say(place);
  });
  box.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || event.shiftKey || event.target !== box || !array.size) return;
    event.preventDefault();
    event.stopPropagation();
    choose(cursor === null ? planes[0].first : moved(planes, cursor, move));
  });
  if (cursor !== null) mark(cursor);
  return html("figure", { class: `mn-array${isResult ? " mn-result" : ""}`, "data-name": name },
    html("figcaption", {}, html("b", {}, name), ` ${shapeText(array.shape)}`.replace(/ /g, "\u00a0"),
      html("span", {}, [meaning, left].filter(Boolean).join("; "))), box, readout);
}

function positionOf(planes, place) {
  for (const [plane, { rows, columns, first, down, right }] of planes.entries()) {
    for (let row = 0; row < rows; row += 1) {
      const rest = place - first - row * down;
      const column = right ? rest / right : 0;
      if (Number.isInteger(column) && column >= 0 && column < columns && rest === column * right) return { plane, row, column };
    }
  }
  return null;
}

/** Return the place of the entry below, above or beside another one; the last one stays. */
function moved(planes, place, [down, right]) {
  const at = positionOf(planes, place) ?? { plane: 0, row: 0, column: 0 };
  let plane = at.plane, column = at.column + right;
  if (column < 0 && plane > 0) [plane, column] = [plane - 1, Infinity];
  else if (column >= planes[plane].columns && plane < planes.length - 1) [plane, column] = [plane + 1, 0];
  const { rows, columns, first, down: below, right: beside } = planes[plane];
  const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
  return first + clamp(at.row + down, rows) * below + clamp(column, columns) * beside;
}

/** Return the place of the entry under the pointer, or null. */
function placeAt(event, planes) {
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

/** Return a field in which a number can be changed. */
function editor(label, array, place, onEdit) {
  const field = html("input", { type: "number", step: "any", value: String(array.numbers[place]) });
  const submit = (event) => {
    event.preventDefault();
    if (field.value !== "") onEdit(place, Number(field.value));
  };
  return html("form", { onsubmit: submit }, html("label", {}, `${label} = `, field), " ", html("button", {}, "Change"));
}
