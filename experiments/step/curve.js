// The curve of the losses.

const WIDTH = 340, HEIGHT = 190, LEFT = 44, RIGHT = 24, TOP = 8, BOTTOM = 38;

/** Return up to five round numbers, evenly spaced, from `least`, which is at most 0, to `most`. */
function ticks(least, most) {
  const unit = 10 ** Math.floor(Math.log10((most - least) / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((each) => each >= (most - least) / 4);
  const first = Math.ceil(least / step - 1e-9);
  return Array.from({ length: Math.floor(most / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

/** Return a number with at most four digits, such as 0.25 or 2e−4. */
function shortNumber(value) {
  const [rounded, size] = [Number(value.toPrecision(4)), Math.abs(value)];
  const text = value && (size < 1e-3 || size >= 1e5) ? rounded.toExponential().replace("+", "") : String(rounded);
  return text.replaceAll("-", "−");
}

/** Draw the losses, pairs of a step and its loss, into a figure. */
function drawLosses(figure, losses) {
  figure.hidden = losses.length === 0;
  if (figure.hidden) return;
  const [bottom, right] = [HEIGHT - BOTTOM, WIDTH - RIGHT];
  const [last, loss] = losses.at(-1);
  const values = losses.map(([, each]) => each);
  const [least, most, mostSteps] = [Math.min(0, ...values), Math.max(0, ...values), Math.max(last, 4)];
  const range = most - least || 1;
  const x = (step) => LEFT + (right - LEFT) * step / mostSteps;
  const y = (value) => bottom - (bottom - TOP) * (value - least) / range;
  const line = losses.map(([step, each]) => `${x(step).toFixed(1)} ${y(each).toFixed(1)}`).join("L");
  const label = (left, top, text, type) => svg("text", { x: left, y: top, class: type }, text);
  figure.replaceChildren(
    html("figcaption", {}, "Loss"),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describeLosses(losses) },
      ticks(least, least + range).flatMap((value) => [
        svg("path", { class: "live-grid", d: `M${LEFT} ${y(value)}H${right}` }),
        label(LEFT - 6, y(value) + 4, shortNumber(value), "live-left"),
      ]),
      ticks(0, mostSteps).map((step) => label(x(step), bottom + 15, step.toLocaleString("en"))),
      svg("path", { d: `M${LEFT} ${TOP}V${bottom}H${right}` }),
      svg("path", { class: "live-line", d: `M${line}` }),
      svg("circle", { cx: x(last), cy: y(loss), r: 3.5 }),
      label((LEFT + right) / 2, HEIGHT - 6, "steps")));
}

function describeLosses(losses) {
  const smallest = losses.reduce((least, each) => (each[1] < least[1] ? each : least));
  const [first, last] = [losses[0], losses.at(-1)];
  return `Curve of the loss: ${formatNumber(first[1])} before the first step, ${formatNumber(last[1])} after ` +
    `${stepsText(last[0])}; the smallest is ${formatNumber(smallest[1])}, after ${stepsText(smallest[0])}`;
}
