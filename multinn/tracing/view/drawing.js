// An array as a table of numbers where it is small, otherwise as a heat map.

import { formatNumber, range } from "./expressions.js";
import { extremes } from "./arrays.js";
import { allDigits, html, reveal, shapeText, summaryOf, tint } from "./elements.js";
import { moved, placeAt, positionOf } from "./planes.js";

export const MOST_CELLS = 64; // of a table
const MOST_COLUMNS = 12;
const MOST_SIDE = 12; // pixels of a cell of a picture
const NARROW = 80; // pixels of a picture
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// Red, green and blue of a heat map: their brightness grows with the number, so that signs are seen without colour.
const NEGATIVE = [16, 24, 90], ZERO = [138, 138, 144], POSITIVE = [255, 214, 110];
const SHADES = 255; // on each side of 0

/** The colours from the most negative to the most positive number, each as the four bytes of a pixel. */
const PALETTE = new Uint32Array(Uint8Array.from(range(2 * SHADES + 1).flatMap((k) => {
  const share = k / SHADES - 1;
  const end = share < 0 ? NEGATIVE : POSITIVE;
  return [...ZERO.map((zero, c) => zero + Math.abs(share) * (end[c] - zero)), 255];
})).buffer);

/** Return a canvas with a colour for each number of a plane, from dark (negative) to bright (positive). */
export function heatMap(array, { rows, columns, first, down, right }) {
  const canvas = html("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d", { willReadFrequently: true }); // drawn faster where there are many
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const { numbers } = array;
  const scale = SHADES / (extremes(array).size || 1);
  for (let row = 0, k = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, k += 1) {
      pixels[k] = PALETTE[Math.round(SHADES + scale * numbers[first + row * down + column * right])];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawTable(array, plane, number) {
  const { rows, columns } = plane;
  const { size } = extremes(array);
  const hasRows = array.shape.length > 1;
  const cell = (row, column) => {
    const place = plane.first + row * plane.down + column * plane.right;
    const value = array.numbers[place];
    const title = allDigits(value, array.dtype);
    return html("td", { "data-place": place, title, ...tint(value, size) }, formatNumber(value));
  };
  const body = range(rows).map((row) => html("tr", {},
    hasRows ? html("th", { scope: "row" }, row) : null, range(columns).map((column) => cell(row, column))));
  const head = html("tr", {},
    hasRows ? html("td", {}) : null, range(columns).map((column) => html("th", { scope: "col" }, column)));
  return html("table", { "data-plane": number, "aria-label": plane.label || null },
    array.size > 1 ? html("thead", {}, head) : null, html("tbody", {}, body));
}

/** Return a plane as a picture, smaller if there are `several`. Cells are squares, or wider in narrow matrices. */
function drawPicture(array, plane, number, name, several) {
  const { rows, columns, label, isRow } = plane;
  const side = (pixels, count) => Math.max(1, Math.min(MOST_SIDE, Math.floor(pixels / count)));
  const square = Math.min(side(several ? 120 : 340, columns), side(several ? 120 : 300, rows));
  const isImage = isRow || array.shape.length > 3;
  const [wide, high] = [columns, rows].map((count) => (isImage ? square : Math.max(square, side(NARROW, count))));
  const canvas = heatMap(array, plane);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name}${label}: ${summaryOf(array)}`);
  const style = { width: `${wide * columns}px`, height: `${Math.max(high * rows, 14)}px` };
  return html("div", { class: "mn-map", "data-plane": number, style }, canvas, html("div", { class: "mn-cursor" }));
}

/**
 * Return an array as a figure.
 *
 * An entry is chosen by a click, or by the arrow keys.
 *
 * @param array the array, with its name and what it is in words.
 * @param planes what of it is drawn, as `planesOf` returns it.
 * @param isResult whether it is a result of the frame.
 * @param chosen the place of the entry that is chosen, or null.
 * @param onChoose takes the place of an entry that was chosen.
 * @param onEdit takes the place of an entry and its new number; undefined where nothing can be changed.
 */
export const drawArray = (settings) => new ArrayFigure(settings).figure;

class ArrayFigure {
  constructor({ name, meaning, array, planes, isResult = false, chosen = null, onChoose, onEdit }) {
    Object.assign(this, { name, array, planes: array.size ? planes : [], chosen, onChoose, onEdit });
    const cells = planes.reduce((total, { rows, columns }) => total + rows * columns, 0);
    this.isTable = cells <= MOST_CELLS && planes.every(({ columns, isRow }) => columns <= MOST_COLUMNS && !isRow);
    const words = this.isTable ? "" : summaryOf(array);
    this.readout = html("div", { class: this.isTable && !onEdit ? "mn-spoken" : "mn-note", "aria-live": "polite" }, words);
    this.box = this.drawBox();
    const left = planes[0]?.left > 0 ? `${planes[0].left} more are not drawn` : "";
    const attributes = { class: `mn-array${isResult ? " mn-result" : ""}`, "data-name": name, "data-keep": `array ${name}` };
    this.figure = html("figure", attributes,
      html("figcaption", {}, html("b", {}, name), " ", html("span", {}, shapeText(array.shape).replace(/ /g, "\u00a0")),
        html("div", { class: "mn-note" }, [meaning, left].filter(Boolean).join("; "))),
      this.box, this.readout);
    if (chosen !== null) this.mark(chosen);
  }

  drawBox() {
    const draw = this.isTable ? drawTable : drawPicture;
    const attributes = {
      class: "mn-scroll mn-planes", tabindex: 0, role: "group", "aria-label": `${this.name}, ${shapeText(this.array.shape)}`,
      onclick: (event) => this.point(event, (place) => this.choose(place)),
      onpointermove: (event) => this.isTable || this.point(event, (place) => this.say(place)),
      onkeydown: (event) => this.press(event),
    };
    return html("div", attributes, this.planes.map((plane, number) => html("div", {},
      draw(this.array, plane, number, this.name, this.planes.length > 1),
      plane.label ? html("div", { class: "mn-note" }, plane.label) : null)));
  }

  /** Do something with the place of the entry under the pointer, if there is one. */
  point(event, action) {
    const place = placeAt(event, this.planes);
    if (place !== null) action(place);
  }

  press(event) {
    const move = MOVES[event.key];
    if (!move || event.shiftKey || event.target !== this.box || !this.planes.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.chosen === null ? this.planes[0].first : moved(this.planes, this.chosen, move));
  }

  choose(place) {
    this.chosen = place;
    const marked = this.mark(place);
    if (marked) reveal(this.box, marked);
    this.say(place);
    this.onChoose?.(place);
    if (this.onEdit) this.readout.replaceChildren(drawEditor(this.nameOf(place), this.array, place, this.onEdit));
  }

  nameOf(place) {
    return this.array.shape.length ? `${this.name}[${this.array.indicesOf(place).join(", ")}]` : this.name;
  }

  /** Say the number of an entry. */
  say(place) {
    if (this.onEdit) return;
    this.readout.textContent = `${this.nameOf(place)} = ${allDigits(this.array.numbers[place], this.array.dtype)}`;
  }

  /** Mark an entry, and return what marks it, or null if it is not drawn. */
  mark(place) {
    for (const marked of this.box.querySelectorAll(".mn-chosen")) marked.classList.remove("mn-chosen");
    const at = positionOf(this.planes, place);
    if (!at) return null;
    const plane = this.box.querySelector(`[data-plane="${at.plane}"]`);
    const marked = this.isTable ? plane.querySelector(`[data-place="${place}"]`) : plane;
    marked.classList.add("mn-chosen");
    return this.isTable ? marked : moveCursor(plane.querySelector(".mn-cursor"), at, this.planes[at.plane]);
  }
}

/** Put the cursor of a picture around an entry. */
function moveCursor(cursor, { row, column }, { rows, columns }) {
  const percent = (part, all) => `${(100 * part) / all}%`;
  Object.assign(cursor.style, {
    left: percent(column, columns), top: percent(row, rows), width: percent(1, columns), height: percent(1, rows),
  });
  return cursor;
}

/** Return a field in which a number can be changed. */
function drawEditor(label, array, place, onEdit) {
  const field = html("input", { type: "number", step: "any", value: String(array.numbers[place]) });
  const submit = (event) => {
    event.preventDefault();
    if (field.value !== "") onEdit(place, Number(field.value));
  };
  return html("form", { onsubmit: submit }, html("label", {}, `${label} = `, field), " ", html("button", {}, "Change"));
}
