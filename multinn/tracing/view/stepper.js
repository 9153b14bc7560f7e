// The view of a trace, in which one goes from frame to frame.

import { formatNumber, range } from "./expressions.js";
import { NumberArray, Trace, maskOf, valuesOf } from "./arrays.js";
import { leaves, partOf, resultsOf } from "./results.js";
import { MOST_CELLS, drawArray, isDrawnAlone, planesOf } from "./drawing.js";
import { drawCode, drawDocumentation, explain } from "./explanation.js";
import { drawNetwork } from "./network.js";
import { html, placeOfLargest, reveal } from "./elements.js";

const PER_EXAMPLE = /^(y|dx|l|g|dy)( |$)/; // the results whose first axis are the examples
const MOST_FORMULAS = 3; // that are shown before an entry is chosen
const KEYS = {
  ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last", PageUp: "backStep", PageDown: "nextStep",
};
const SAYS = {
  forward: "The layer computes its output y from its input x, and keeps what its backward pass needs.",
  loss: "The loss L measures how far the outputs y are from the targets t. Its gradient dy = ∂L/∂y starts the backward pass.",
  backward: "The layer gets dy = ∂L/∂y. By the chain rule it computes dx = ∂L/∂x, which is dy of the layer before it, and the gradients of its parameters.",
  update: "The optimizer computes new parameters from the gradients.",
};
const PASSES = { forward: "forward", loss: "the loss", backward: "backward", update: "the update" };

/**
 * Draw the view of a trace in an element.
 *
 * Options: `onEdit({ kind, layer, path, indices, value })` makes inputs, targets and parameters editable;
 * `onFrame(number)` is told of each frame shown; `frame` is the first one.
 *
 * Return an object with `frame`, `frames`, `trace`, `go(number)`, and `update(data)`, which shows another
 * trace at the same place.
 */
export function mount(element, data, options = {}) {
  const view = new View(element, options);
  view.update(data);
  return view;
}

class View {
  constructor(element, options) {
    Object.assign(this, { element, options, frame: options.frame ?? 0, example: 0, chosen: {}, parameter: null });
    element.classList.add("mn-view");
    const isPage = element.parentElement === document.body; // then the keys work wherever the focus is
    (isPage ? document : element).addEventListener("keydown", (event) => this.press(event));
  }

  get frames() {
    return this.trace?.frames.length ?? 0;
  }

  /** Show another trace: the frame, the example and the chosen entries stay. */
  update(data) {
    try {
      this.trace = new Trace(data);
      this.build();
      this.go(this.frame);
    } catch (error) {
      console.error(error);
      this.trace = null;
      this.element.replaceChildren(html("p", { role: "alert", class: "mn-error" },
        `This trace is damaged and cannot be shown: ${error.message}`));
    }
  }

  /** Show the frame of that number. */
  go(number) {
    this.frame = Math.max(0, Math.min(this.frames - 1, number));
    this.draw();
    this.options.onFrame?.(this.frame);
  }

  /** Go where a button or a key says. */
  move(where) {
    const { step } = this.trace.frames[this.frame];
    const start = (wanted) => {
      const found = this.trace.frames.findIndex((frame) => frame.step === wanted);
      return found < 0 ? this.frame : found;
    };
    this.go({
      first: 0, back: this.frame - 1, next: this.frame + 1, last: this.frames - 1,
      backStep: start(this.frame === start(step) ? step - 1 : step), nextStep: start(step + 1),
    }[where]);
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("input, select, textarea")) return;
    const steps = { ArrowLeft: "backStep", ArrowRight: "nextStep" };
    const where = (event.shiftKey && steps[event.key]) || KEYS[event.key];
    if (!where || !this.trace) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(where);
  }

  build() {
    const { steps, data } = this.trace;
    const button = (where, text) => html("button", { onclick: () => this.move(where), "data-go": where }, text);
    const buttons = [button("first", "First"), button("back", "← Back"), button("next", "Next →"), button("last", "Last")];
    if (steps.length > 1) buttons.splice(3, 0, button("backStep", "Step back"), button("nextStep", "Next step"));
    this.where = html("h2", { "aria-live": "polite" });
    this.loss = html("span", {});
    this.tape = html("div", { class: "mn-scroll mn-tape", role: "group", "aria-label": "Frames of the step" });
    [this.network, this.arrays, this.explanation] = [0, 1, 2].map(() => html("div", { class: "mn-panel" }));
    this.element.replaceChildren(
      html("header", {}, html("div", { class: "mn-buttons", role: "group", "aria-label": "Go to a frame" }, buttons),
        this.where, html("p", { class: "mn-note" }, this.loss, ` · ${data.backend}, ${data.dtype} · `, this.exampleChoice())),
      this.tape,
      html("div", { class: "mn-columns" },
        html("div", {}, this.network, this.arrays), this.explanation));
    this.drawnStep = null;
  }

  exampleChoice() {
    const count = this.trace.steps[0].loss.values.shape[0];
    this.example = Math.min(this.example, count - 1);
    const choose = (event) => { this.example = Number(event.target.value); this.chosen = {}; this.draw(); };
    const select = html("select", { onchange: choose }, range(count).map((n) => html("option", { value: n }, n)));
    select.value = this.example;
    return html("label", {}, "example ", select, ` of ${count}`);
  }

  draw() {
    const { trace } = this;
    const frame = trace.frames[this.frame];
    const part = partOf(trace, frame);
    this.where.textContent = `Step ${frame.step + 1} of ${trace.steps.length} · ${PASSES[frame.kind]} · ${this.nameOf(frame)}`;
    this.loss.textContent = `loss ${formatNumber(trace.steps[frame.step].loss.value.numbers[0])}`;
    this.drawTape(frame);
    this.network.replaceChildren(drawNetwork(trace, this.frame, this.example, (number) => this.go(number)));
    const current = this.network.querySelector(".mn-title.mn-current, .mn-layer.mn-current");
    if (current) reveal(current.closest(".mn-scroll"), current);
    this.results = resultsOf(trace, frame);
    this.arrays.replaceChildren(...this.drawArrays(frame));
    this.drawFormulas();
    this.explanation.replaceChildren(html("p", {}, SAYS[frame.kind]), html("p", {}, html("b", {}, `${part.class}: `), part.formula), this.formulas,
      ...[drawCode(trace, part, frame.kind === "loss" ? "forward" : frame.kind), drawDocumentation(part)].filter(Boolean));
    for (const button of this.element.querySelectorAll("[data-go]")) {
      const isBack = ["first", "back", "backStep"].includes(button.dataset.go);
      const isEnd = this.frame === (isBack ? 0 : this.frames - 1);
      button.disabled = isEnd || (button.dataset.go === "nextStep" && frame.step === trace.steps.length - 1);
    }
  }

  nameOf({ kind, layer }) {
    const part = partOf(this.trace, { kind, layer });
    if (layer === undefined) return part.class;
    return part.place.length ? `layer ${part.place.map((k) => k + 1).join(".")}, ${part.class}` : part.class;
  }

  /** Draw the frames of a step: a layer's backward pass below its forward pass. */
  drawTape(current) {
    const { frames } = this.trace;
    if (this.drawnStep !== current.step) {
      this.drawnStep = current.step;
      const columns = this.trace.steps[current.step].forward.filter((layer) => frames.some((frame) => frame.layer === layer));
      const place = { loss: [columns.length + 1, "1 / 3"], update: [columns.length + 2, "1 / 3"] };
      this.tape.replaceChildren(...frames.flatMap((frame, number) => {
        if (frame.step !== current.step) return [];
        const [column, row] = place[frame.kind] ?? [columns.indexOf(frame.layer) + 1, frame.kind === "forward" ? 1 : 2];
        const sign = { forward: "→ ", backward: "← " }[frame.kind] ?? "";
        const text = frame.layer === undefined ? frame.kind : this.trace.data.layers[frame.layer].class;
        return [html("button", {
          "data-frame": number, class: `mn-${frame.kind}`, style: { "grid-column": column, "grid-row": row },
          "aria-label": `${PASSES[frame.kind]}, ${this.nameOf(frame)}`, onclick: () => this.go(number),
        }, sign + text)];
      }));
    }
    for (const button of this.tape.children) {
      const number = Number(button.dataset.frame);
      button.classList.toggle("mn-done", number < this.frame);
      if (number === this.frame) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
      if (number === this.frame) reveal(this.tape, button);
    }
  }

  drawArrays(frame) {
    if (frame.kind === "update") return this.drawUpdate(frame);
    const groups = this.inputsOf(frame);
    return [
      ...this.sections(this.results, groups.given.map((each) => this.drawGiven(each))),
      this.cache(groups.cache, [...groups.given, ...this.results]),
    ].filter(Boolean);
  }

  /** Return the drawn results of a frame, and what they are computed from, with their headings. */
  sections(results, given) {
    const figures = results.map((result) => this.drawResult(result));
    const hasFormula = results.some((result) => result.formula);
    const hint = hasFormula ? "Click an entry of a result, or move to it with the arrow keys, to see its formula. " : "";
    const hasPictures = [...figures, ...given].some((figure) => figure.querySelector("canvas"));
    const legend = hasPictures ? "In pictures, bright is positive, grey is 0 and dark is negative." : "";
    return [
      html("h3", {}, "Results"), html("div", { class: "mn-arrays" }, figures),
      html("h3", {}, "Computed from"), html("div", { class: "mn-arrays" }, given),
      html("p", { class: "mn-note" }, hint, legend),
    ];
  }

  /** Return the arrays that a frame computes from: { name, meaning, array, edit }. */
  inputsOf(frame) {
    const step = this.trace.steps[frame.step];
    const all = (value, name, meaning, edit) => leaves(value).map(([path, array]) =>
      ({ name: path ? `${name} ${path}`.trim() : name, meaning, array, edit: edit && { ...edit, path } }));
    if (frame.kind === "loss") {
      const { outputs, targets, weights } = step.loss;
      return { given: [...all(outputs, "y", "outputs"), ...all(targets, "t", "targets", { kind: "targets" }), ...all(weights, "w", "weights of examples")], cache: [] };
    }
    const { layer } = frame;
    const { x, dy, cache, params, state } = step.layers[layer];
    const values = valuesOf(x);
    const isInput = values === valuesOf(step.layers[0].x);
    const own = this.trace.data.layers.some(({ parent }) => parent === layer) ? [] : all(params, "", "parameter", { kind: "params", layer });
    const given = frame.kind === "forward"
      ? [...all(values, "x", "input", isInput ? { kind: "x", layer } : null), ...all(maskOf(x), "mask", "which entries count"), ...own, ...all(state, "state", "state")]
      : [...all(dy, "dy", "gradient of the output"), ...all(values, "x", "input"), ...own];
    return { given, cache: frame.kind === "backward" ? all(cache, "cache", "") : [] };
  }

  drawGiven({ name, meaning, array, edit }) {
    const { onEdit } = this.options;
    const change = edit && onEdit
      ? (place, value) => onEdit({ layer: null, ...edit, indices: array.indicesOf(place), value }) : undefined;
    return drawArray({ name, ...this.drawn(array, meaning, meaning !== "parameter"), onEdit: change });
  }

  /** Return what `drawArray` needs to draw an array: what it means, and its planes. */
  drawn(array, meaning, isPerExample, channelsLast = true) {
    const example = isPerExample && array.shape.length && this.example < array.shape[0] ? this.example : null;
    const alone = example !== null && isDrawnAlone(array) ? `example ${example}` : "";
    return { array, meaning: [meaning, alone].filter(Boolean).join(", "), planes: planesOf(array, example, channelsLast) };
  }

  drawResult(result) {
    const { name, array } = result;
    const isUpdate = this.trace.frames[this.frame].kind === "update";
    const meaning = isUpdate ? "" : { y: "output", dx: "gradient of the input", l: "loss of each example", L: "loss", g: "gradient of each loss", dy: "gradient of the output" }[name] ?? `gradient of ${name.slice(1)}`;
    return drawArray({
      name: isUpdate ? `${stateName(name) ?? parameterName(name)} after` : name, isResult: true, ...this.drawn(array, meaning, PER_EXAMPLE.test(name)),
      chosen: result.formula && array.size ? this.placeIn(result) : null,
      onChoose: (place) => { this.chosen[name] = place; this.drawFormulas(); },
    });
  }

  /** Return the place of the chosen entry of a result: at first, the first or, of many, the largest one. */
  placeIn({ name, array }) {
    if (this.chosen[name] < array.size) return this.chosen[name];
    const isPerExample = PER_EXAMPLE.test(name) && this.example < array.shape[0];
    const count = isPerExample ? array.size / array.shape[0] : array.size;
    const start = isPerExample ? this.example * count : 0;
    return start + (count > MOST_CELLS ? placeOfLargest(array.numbers.subarray(start, start + count)) : 0);
  }

  drawFormulas() {
    const { dtype } = this.trace.data;
    const isUpdate = this.trace.frames[this.frame].kind === "update";
    const symbolOf = (name) => (isUpdate ? stateName(name) ?? "θ" : name);
    const explained = this.shownResults().filter((result) => result.formula && result.array.size)
      .filter(({ name }, k) => k < MOST_FORMULAS || name in this.chosen);
    this.formulas ??= html("div", {});
    this.formulas.replaceChildren(...explained.map((result) => 
      explain(result, this.placeIn(result), dtype, symbolOf(result.name), isUpdate)));
  }

  shownResults() {
    const { kind } = this.trace.frames[this.frame];
    return this.results.filter(({ name }) => kind !== "update" || name.split(" of ").at(-1) === this.parameter);
  }

  cache(arrays, drawn) {
    const others = arrays.filter(({ array }) => !drawn.some((each) => each.array === array));
    if (!others.length) return null;
    const fill = (event) => {
      if (event.target.children.length > 1) return;
      event.target.append(html("div", { class: "mn-arrays" }, others.map(({ name, array }) =>
        drawArray({ name, ...this.drawn(array, "", true, false) }))));
    };
    return html("details", { ontoggle: fill }, html("summary", {}, `Kept by the forward pass: ${others.length} array${others.length > 1 ? "s" : ""}`));
  }

  drawUpdate(frame) {
    const { updates } = this.trace.steps[frame.step];
    const paths = leaves(updates.at(-1).params).map(([path]) => path);
    if (!paths.includes(this.parameter)) [this.parameter] = paths;
    const choose = (event) => { this.parameter = event.target.value; this.draw(); };
    const select = html("select", { onchange: choose }, paths.map((path) => html("option", { value: path }, parameterName(path))));
    select.value = this.parameter;
    const at = (value) => leaves(value).find(([path]) => path === this.parameter)?.[1];
    const given = updates.flatMap(({ params, gradients, state, rate }, k) => {
      const meaning = updates.length > 1 ? this.trace.data.optimizers[k].class : "";
      const states = Object.entries(state ?? {}).map(([key, value]) =>
        ({ name: `${key} before`, meaning, array: value instanceof NumberArray ? value : at(value) }));
      return [
        { name: `${parameterName(this.parameter)} before`, meaning, array: at(params) },
        { name: "gradient", meaning, array: at(gradients) }, ...states, { name: "learning rate η", meaning, array: rate },
      ];
    });
    const draw = ({ name, meaning, array }) => drawArray({ name, ...this.drawn(array, meaning, false) });
    return [
      html("label", {}, "parameter ", select),
      ...this.sections(this.shownResults(), given.filter(({ array }) => array).map(draw)),
    ];
  }
}

/** Return the name of the optimizer's state in the name of a result, such as "m of 0.W". */
const stateName = (name) => name.split(" of ").at(-2);

/** Return the name of a parameter in words: "0.W" is W of layer 1. */
function parameterName(path) {
  const parts = path.split(".");
  const place = parts.filter((part) => /^\d+$/.test(part)).map((part) => Number(part) + 1);
  const name = parts.filter((part) => !/^\d+$/.test(part)).join(".");
  return place.length ? `${name} of layer ${place.join(".")}` : name;
}
