// The view of a trace, in which one goes from frame to frame.

import { formatNumber, range } from "./expressions.js";
import { Trace, leaves, titleOf, withLabel } from "./arrays.js";
import { partOf, resultsOf } from "./results.js";
import { cacheOf, inputsOf, parameterName, parameterPaths } from "./inputs.js";
import { html, placeOfLargest, reveal } from "./elements.js";
import { isDrawnAlone, planesOf } from "./planes.js";
import { MOST_CELLS, drawArray } from "./drawing.js";
import { drawNetwork } from "./network.js";
import { drawCode, drawDocumentation, explain } from "./explanation.js";

const PER_EXAMPLE = /^(y|dx|mask|l|g|dy|dL)( |$)/; // the results whose first axis are the examples
const MEANINGS = {
  y: "output", mask: "which entries count", dx: "gradient of the input",
  l: "loss of each example", L: "loss", g: "gradient of each l", dy: "gradient of the output",
  dL: "gradient of this loss",
};
const PANELS = ["The network", "Results", "Explanation", "Computed from"];
const MOST_FORMULAS = 3; // that are shown before an entry is chosen, beside that of an updated parameter
const KEYS = {
  ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last", PageUp: "backStep", PageDown: "nextStep",
};
const SHIFT_KEYS = { ArrowLeft: "backStep", ArrowRight: "nextStep" };
const WIDE = 900; // pixels from which the code is unfolded
const PLAYING = 1000; // milliseconds a frame
const PASSES = { forward: "forward", loss: "the loss", backward: "backward", update: "the update" };
const EXPLANATIONS = {
  forward: "The layer computes its output y from its input x, and keeps what its backward pass needs.",
  loss: "The loss L measures how far the outputs y are from the targets t. Its gradient dy = ∂L/\u2060∂y starts the backward "
    + "pass.",
  head: "This loss measures how far one of the outputs is from its targets. The loss of the network adds such losses up.",
  heads: "The loss L is the sum of the losses of all outputs, each times its coefficient c. Each output is in only one of "
    + "them, so its gradient dy is the gradient dL of that loss times c.",
  backward: "The layer gets dy = ∂L/\u2060∂y. By the chain rule it computes dx = ∂L/\u2060∂x, which is dy of the layer before it, "
    + "and the gradients of its parameters.",
  update: "The optimizer computes new parameters from the gradients.",
};

/**
 * Draw the view of a trace in an element.
 *
 * Options, all of which may be left out: `frame`, the number of the first frame; `onFrame(number)`, which is
 * told of each frame shown; `keys`, the element that gets the keys, if it is another one, such as the
 * document; `onEdit({ kind, layer, path, indices, value })`, without which nothing can be changed. There,
 * `kind` is "x", "params" or "targets", `layer` the index of the layer, and `path` that of the array in a tree.
 *
 * Return an object with `frame`, `frames`, their number, `trace`, `go(number)`, and `update(data)`, which
 * shows another trace at the same place.
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
    (options.keys ?? element).addEventListener("keydown", (event) => this.press(event));
  }

  get frames() {
    return this.trace?.frames.length ?? 0;
  }

  /** Show another trace: the frame, the example and the chosen entries stay. */
  update(data) {
    this.attempt(() => this.keepingFocus(() => {
      this.trace = new Trace(data);
      this.build();
      this.go(this.frame);
    }));
  }

  /** Show the frame of that number. */
  go(number) {
    if (!this.trace) return;
    this.frame = Math.max(0, Math.min(this.frames - 1, number));
    this.redraw();
    this.options.onFrame?.(this.frame);
  }

  redraw() {
    this.attempt(() => this.keepingFocus(() => this.draw()));
  }

  /** Draw something, and give the focus to what took the place of the focused element. */
  keepingFocus(draw) {
    const focused = () => this.element.getRootNode().activeElement;
    const keep = this.element.contains(focused()) && focused().closest("[data-keep]")?.dataset.keep;
    draw();
    if (!keep || this.element.contains(focused())) return;
    const successor = this.element.querySelector(`[data-keep="${CSS.escape(keep)}"]`);
    (successor?.querySelector("[tabindex]") ?? successor)?.focus({ preventScroll: true });
  }

  /** Show the next frame each second up to the last one, or stop doing so. */
  play() {
    const isPlaying = this.timer !== undefined;
    this.playButton.textContent = isPlaying ? "Play" : "Pause";
    clearInterval(this.timer);
    this.timer = isPlaying ? undefined : setInterval(() => {
      if (this.frame < this.frames - 1 && this.element.isConnected) this.move("next");
      else this.play();
    }, PLAYING);
  }

  /** Do something with the trace, or say that it is damaged. */
  attempt(action) {
    try {
      action();
    } catch (error) {
      console.error(error);
      this.trace = null;
      this.element.replaceChildren(html("p", { role: "alert", class: "mn-error" },
        `This trace is damaged and cannot be shown: ${error.message}`));
    }
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
    const where = (event.shiftKey && SHIFT_KEYS[event.key]) || KEYS[event.key];
    if (!where || !this.trace) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(where);
  }

  /** Draw what stays from frame to frame. */
  build() {
    const { steps, data } = this.trace;
    const button = (where, text) =>
      html("button", { onclick: () => this.move(where), "data-go": where, "data-keep": where }, text);
    if (this.timer !== undefined) this.play();
    this.playButton = html("button", { class: "mn-play", onclick: () => this.play(), "data-keep": "play" }, "Play");
    const buttons = [
      button("first", "First"), button("back", "← Back"), button("next", "Next →"),
      ...(steps.length > 1 ? [button("backStep", "Previous step"), button("nextStep", "Next step")] : []),
      button("last", "Last"), this.playButton,
    ];
    this.where = html("h2", { "aria-live": "polite" });
    this.loss = html("span", {});
    this.tape = html("div", { class: "mn-scroll mn-tape", role: "group", "aria-label": "Frames of the step" });
    [this.network, this.results, this.explanation, this.inputs] = PANELS.map((label) =>
      html("section", { class: "mn-panel", "aria-label": label }));
    this.formulas = html("div", {});
    this.element.replaceChildren(
      html("header", {},
        html("div", { class: "mn-buttons", role: "group", "aria-label": "Go to a frame" }, buttons), this.where,
        html("p", { class: "mn-note" }, this.loss, ` · ${data.backend}, ${data.dtype}`,
          ...(steps.length > 1 ? [" · ", this.drawStepChoice()] : []), " · ", this.drawExampleChoice())),
      this.tape,
      html("div", { class: "mn-columns" }, this.network, this.results, this.explanation, this.inputs));
    this.drawnStep = null;
  }

  /** Draw a choice of the step, of which the same frame is shown. */
  drawStepChoice() {
    const { length } = this.trace.steps;
    const framesOfStep = this.frames / length;
    const choose = (step) => this.go(step * framesOfStep + (this.frame % framesOfStep));
    this.stepChoice = drawSelect("step", range(length), (step) => step + 1, 0, choose);
    return html("label", {}, "step ", this.stepChoice, ` of ${length}`);
  }

  drawExampleChoice() {
    const [[, outputs]] = leaves(this.trace.steps[0].loss.outputs); // a loss may not have values
    const [count] = outputs.shape;
    this.example = Math.min(this.example, count - 1);
    const choose = (number) => {
      this.example = Number(number);
      this.chosen = {};
      this.redraw();
    };
    return html("label", {}, "example ", drawSelect("example", range(count), String, this.example, choose), ` of ${count}`);
  }

  /** Draw the frame that is shown. */
  draw() {
    const { trace } = this;
    const frame = trace.frames[this.frame];
    const isWide = this.element.clientWidth >= WIDE; // read before anything changes, as layout takes time
    if (frame.kind === "update") this.chooseParameter(parameterPaths(trace, frame));
    this.found = resultsOf(trace, frame, this.parameter);
    this.drawPlace(frame);
    this.drawTape(frame);
    this.network.replaceChildren(drawNetwork(trace, this.frame, this.example, (number) => this.go(number)));
    this.results.replaceChildren(...this.drawResults(frame));
    this.inputs.replaceChildren(...this.drawInputs(frame));
    this.drawFormulas();
    this.drawExplanation(frame, isWide);
    for (const current of this.element.querySelectorAll(".mn-title.mn-current, .mn-layer.mn-current, [aria-current]")) {
      reveal(current.closest(".mn-scroll"), current);
    }
  }

  /** Say where we are, and which buttons lead on. */
  drawPlace(frame) {
    const { steps } = this.trace;
    const { number, loss } = steps[frame.step];
    const step = steps.length > 1 ? `Step ${frame.step + 1} of ${steps.length}` : `Step ${grouped(number + 1)}`;
    this.where.textContent = `${step} · ${passOf(frame)} · ${this.nameOf(frame)}`;
    const before = steps.length > 1 && number !== frame.step ? ` · after ${grouped(number)} steps of training` : "";
    const text = ({ value }) => formatNumber(value.numbers[0]);
    const heads = Object.entries(loss.heads ?? {}).map(([key, head]) => `${key} ${text(head)}`).join(", ");
    this.loss.textContent = `loss ${text(loss)}${heads && ` (${heads})`}${before}`;
    if (steps.length > 1) this.stepChoice.value = frame.step;
    const [isFirst, isLast] = [this.frame === 0, this.frame === this.frames - 1];
    const isEnd = {
      first: isFirst, back: isFirst, backStep: isFirst, next: isLast, last: isLast, nextStep: frame.step === steps.length - 1,
    };
    for (const button of this.element.querySelectorAll("[data-go]")) {
      button.setAttribute("aria-disabled", isEnd[button.dataset.go]); // a disabled button would lose the focus
    }
  }

  nameOf(frame) {
    const { place = [], branch, ...part } = partOf(this.trace, frame);
    const where = [place.map((k) => k + 1).join("."), ...(branch ? [`(${branch})`] : [])].join(" ");
    return place.length ? `layer ${where}, ${titleOf(part)}` : titleOf(part);
  }

  /** Draw the frames of a step, and mark the one that is shown. */
  drawTape(current) {
    const hasFocus = this.tape.matches(":focus-within");
    if (this.drawnStep !== current.step) {
      this.drawnStep = current.step;
      this.tape.replaceChildren(...this.drawFrames(current.step));
    }
    for (const button of this.tape.children) {
      const number = Number(button.dataset.frame);
      button.classList.toggle("mn-done", number < this.frame);
      button.tabIndex = number === this.frame ? 0 : -1;
      if (number !== this.frame) button.removeAttribute("aria-current");
      else {
        button.setAttribute("aria-current", "step");
        if (hasFocus) button.focus({ preventScroll: true });
      }
    }
  }

  /** Return a button for each frame of a step, a layer's backward pass below its forward pass. */
  drawFrames(step) {
    const frames = [...this.trace.frames.entries()].filter(([, frame]) => frame.step === step);
    const layers = frames.filter(([, { kind }]) => kind === "forward").map(([, { layer }]) => layer);
    const both = frames.filter(([, { kind }]) => kind === "loss" || kind === "update").map(([, frame]) => frame);
    const cell = (frame) => ({
      forward: [layers.indexOf(frame.layer) + 1, 1], backward: [layers.indexOf(frame.layer) + 1, 2],
    }[frame.kind] ?? [layers.length + both.indexOf(frame) + 1, "1 / 3"]);
    return frames.map(([number, frame]) => {
      const [column, row] = cell(frame);
      const name = titleOf(partOf(this.trace, frame));
      const text = { forward: `→ ${name}`, backward: `← ${name}` }[frame.kind]
        ?? withLabel(frame.kind, frame.head?.join(".") ?? "");
      const attributes = {
        "data-frame": number, "aria-label": `${passOf(frame)}, ${this.nameOf(frame)}`,
        style: { "grid-column": column, "grid-row": row }, onclick: () => this.go(number),
      };
      return html("button", attributes, html("span", {}, text));
    });
  }

  drawResults(frame) {
    const choice = frame.kind === "update" ? [this.drawParameterChoice(frame)] : [];
    const hint = this.found.some(({ formula }) => formula)
      ? "Click an entry of a result, or move to it with the arrow keys, to see its formula." : "";
    return [...choice, html("h3", {}, "Results"), ...drawFigures(this.found.map((result) => this.drawResult(result)), hint)];
  }

  /** Return what the results are computed from. */
  drawInputs(frame) {
    const inputs = inputsOf(this.trace, frame, this.parameter);
    const known = new Set([...this.found, ...inputs].map(({ array }) => array));
    const editable = inputs.filter(({ edit }) => edit && this.options.onEdit).map(({ name }) => name);
    const hint = editable.length ? `Click a number of ${editable.join(", ")} to change it.` : "";
    return [
      html("h3", {}, "Computed from"), ...drawFigures(inputs.map((input) => this.drawInput(input)), hint),
      ...this.drawCache(cacheOf(this.trace, frame).filter(({ array }) => !known.has(array))),
    ];
  }

  /** Keep the parameter that is shown, or take the first one of a trace without it. */
  chooseParameter(paths) {
    if (!paths.includes(this.parameter)) [this.parameter] = paths;
  }

  drawParameterChoice(frame) {
    const paths = parameterPaths(this.trace, frame);
    const choose = (path) => {
      this.parameter = path;
      this.redraw();
    };
    return html("label", {}, "parameter ", drawSelect("parameter", paths, parameterName, this.parameter, choose));
  }

  drawInput({ name, meaning, array, edit, isParameter }) {
    const { onEdit } = this.options;
    const change = (place, value) => onEdit({ ...edit, indices: array.indicesOf(place), value });
    return drawArray({ name, ...this.drawn(array, meaning, !isParameter), onEdit: edit && onEdit && change });
  }

  drawResult(result) {
    const { name, array, formula } = result;
    const isUpdate = this.trace.frames[this.frame].kind === "update";
    const [letter] = name.split(" ");
    const ofEntries = letter === "l" && array.shape.length > 1 && "loss of each entry";
    const meaning = isUpdate ? "" : ofEntries || (MEANINGS[letter] ?? `gradient of ${name.slice(1)}`);
    return drawArray({
      name: isUpdate ? `${stateName(name) ?? parameterName(name)} after` : name,
      ...this.drawn(array, meaning, PER_EXAMPLE.test(name)),
      isResult: true,
      chosen: formula && array.size ? this.placeIn(result) : null,
      onChoose: (place) => {
        this.chosen[name] = place;
        this.drawFormulas();
      },
    });
  }

  /** Return the arrays that the forward pass has kept, which are drawn when they are asked for. */
  drawCache(arrays) {
    if (!arrays.length) return [];
    const fill = ({ target }) => {
      if (target.children.length > 1) return;
      target.append(html("div", { class: "mn-arrays" }, arrays.map(({ name, array }) =>
        drawArray({ name, ...this.drawn(array, "", true, false) }))));
    };
    const title = `Kept by the forward pass: ${arrays.length} array${arrays.length > 1 ? "s" : ""}`;
    return [html("details", { ontoggle: fill }, html("summary", {}, title))];
  }

  /** Return what `drawArray` needs to draw an array: what it means, and its planes. */
  drawn(array, meaning, isPerExample, channelsLast = true) {
    const example = isPerExample && this.example < array.shape[0] ? this.example : null;
    const which = example !== null && isDrawnAlone(array) ? `example ${example}` : "";
    const words = [meaning, which].filter(Boolean).join(", ");
    return { array, meaning: words, planes: planesOf(array, example, channelsLast) };
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
    const explained = this.found
      .filter(({ array, formula }) => formula && array.size)
      .filter(({ name }, k) => k < MOST_FORMULAS || symbolOf(name) === "θ" || name in this.chosen);
    this.formulas.replaceChildren(...explained.map((result) =>
      explain(result, this.placeIn(result), dtype, symbolOf(result.name), isUpdate)));
  }

  /** Draw the words, the formulas and the code of a frame; what is unfolded stays so. */
  drawExplanation(frame, isCodeOpen) {
    const { kind } = frame;
    const part = partOf(this.trace, frame);
    const what = (part.heads && "heads") || (frame.head?.length && "head") || kind;
    const folds = () => [...this.explanation.querySelectorAll("details[class]")];
    const unfolded = new Map(folds().map((fold) => [fold.className, fold.open]));
    this.explanation.replaceChildren(
      html("p", {}, EXPLANATIONS[what]), html("p", {}, html("b", {}, `${part.class}: `), part.formula), this.formulas,
      ...drawCode(this.trace, part, kind === "loss" ? "forward" : kind, isCodeOpen),
      ...drawDocumentation(part));
    for (const fold of folds()) fold.open = unfolded.get(fold.className) ?? fold.open;
  }
}

/** Return the pass of a frame in words. */
const passOf = ({ kind, head }) => (head?.length ? `the loss of ${head.join(".")}` : PASSES[kind]);

const grouped = (number) => number.toLocaleString("en");

/** Return the name of the optimizer's state in the name of a result, such as "m of 0.W". */
const stateName = (name) => name.split(" of ").at(-2);

/** Return figures and a hint, or that there are none. */
function drawFigures(figures, hint) {
  const hints = [
    figures.length ? hint : "The trace leaves these arrays out.",
    figures.some((figure) => figure.querySelector("canvas"))
      ? "In pictures, bright is positive, grey is 0 and dark is negative." : "",
  ].filter(Boolean);
  return [
    html("div", { class: "mn-arrays" }, figures),
    ...(hints.length ? [html("p", { class: "mn-note" }, hints.join(" "))] : []),
  ];
}

function drawSelect(name, values, textOf, value, choose) {
  const options = values.map((each) => html("option", { value: each }, textOf(each)));
  const select = html("select", { "data-keep": name, onchange: () => choose(select.value) }, options);
  select.value = value;
  return select;
}
