// The outputs of a network of two inputs, over the plane of its inputs.

const SIDE = 190; // pixels of the page

/** Draw a surface, as the server describes it, into a figure; null hides the figure. */
function drawSurface(figure, surface) {
  figure.hidden = !surface;
  if (!surface) return;
  if (!figure.firstChild) {
    figure.append(html("canvas", { role: "img" }), html("figcaption", {},
      "Output over both inputs; dots mark its upper half", html("ul")));
  }
  const canvas = figure.querySelector("canvas");
  canvas.setAttribute("aria-label", describeSurface(surface));
  canvas.width = canvas.height = Math.round(SIDE * devicePixelRatio);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  // A canvas does not know light-dark(), but an element resolves it.
  const color = (name) => { canvas.style.color = `var(--${name})`; return style.color; };
  drawOutputs(context, surface, canvas.width, { low: color("live-low"), high: color("live-high"), mark: color("live-mark") });
  drawPoints(context, surface, canvas.width, { paper: color("mn-panel"), ink: color("mn-text") });
  figure.querySelector("ul").replaceChildren(...surface.points.map(([x, y, target, output]) => html("li", {},
    `${shortNumber(x)}, ${shortNumber(y)}: ${shortNumber(Number(output.toFixed(4)))}, target ${shortNumber(target)}`)));
}

function drawOutputs(context, { size, values, range: [low, high] }, pixels, { low: from, high: to, mark }) {
  const side = pixels / size;
  values.forEach((value, k) => {
    const share = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
    const [left, top] = [(k % size) * side, (size - 1 - Math.floor(k / size)) * side];
    context.fillStyle = `color-mix(in srgb, ${to} ${(100 * share).toFixed(1)}%, ${from})`;
    context.fillRect(Math.floor(left), Math.floor(top), Math.ceil(side) + 1, Math.ceil(side) + 1);
  });
  context.fillStyle = mark;
  values.forEach((value, k) => {
    if (value <= (low + high) / 2) return;
    const [left, top] = [(k % size + 0.5) * side, (size - 0.5 - Math.floor(k / size)) * side];
    context.fillRect(left, top, 1.5 * devicePixelRatio, 1.5 * devicePixelRatio);
  });
}

function drawPoints(context, { columns, rows, points }, pixels, { paper, ink }) {
  context.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = devicePixelRatio;
  context.strokeStyle = ink;
  for (const [x, y, target] of points) {
    const left = pixels * (x - columns[0]) / (columns[1] - columns[0]);
    const top = pixels * (1 - (y - rows[0]) / (rows[1] - rows[0]));
    context.beginPath();
    context.arc(left, top, 9 * devicePixelRatio, 0, 2 * Math.PI);
    context.fillStyle = paper;
    context.fill();
    context.stroke();
    context.fillStyle = ink;
    context.fillText(shortNumber(target), left, top + devicePixelRatio);
  }
}

const describeSurface = ({ columns, rows }) =>
  `The output of the network for inputs from ${columns.map(shortNumber).join(" to ")} across and from ` +
  `${rows.map(shortNumber).join(" to ")} upwards; the list below has the outputs for the examples`;
