// The live page: asks the server to train, and shows what it answers.

const MOST_STEPS = 1000; // of one request; the server may take fewer

const token = new URLSearchParams(location.search).get("token");
const find = (id) => document.getElementById(id);
const stepsText = (number) => `${number.toLocaleString("en")} step${number === 1 ? "" : "s"}`;

let view; // of the next step
let shown; // the last answer of the server
let isStopped = false;

/** Send a request and show the answer; return the answer, or null after an error, which is shown. */
async function ask(request) {
  try {
    const response = await fetch("act", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Token": token },
      body: JSON.stringify(request),
    });
    if (!response.ok) throw new Error(await response.text());
    shown = await response.json();
  } catch (error) {
    // A failed fetch is a TypeError.
    say(error instanceof TypeError ? "The program does not answer. It may have ended." : error.message, true);
    if (shown) show(shown); // without the wrong entry
    return null;
  }
  say(shown.message ?? "", true);
  show(shown);
  return shown;
}

/** Show a message; an empty one hides the box. */
function say(message, isError = false) {
  find("message").textContent = message;
  find("message").classList.toggle("live-error", isError);
}

function show({ trace, step, losses, learning_rate: rate, surface }) {
  const [last, loss] = losses.at(-1) ?? [];
  find("status").textContent = `${stepsText(step)} taken, loss ${last === step ? formatNumber(loss) : "not finite"}`;
  find("rate").value = rate ?? "";
  find("rate").disabled = find("set").disabled = rate === null;
  drawLosses(find("losses"), losses);
  drawSurface(find("surface"), surface);
  if (view) view.update(trace);
  else view = mount(find("view"), trace, { onEdit: (edit) => ask({ action: "edit", ...edit }) });
}

/** Take some steps, in as many requests as the server needs, until the reader stops them. */
async function run(steps) {
  const first = shown.step;
  const progress = find("progress");
  const taken = () => shown.step - first;
  isStopped = false;
  setRunning(true);
  progress.max = steps;
  progress.hidden = steps === 1;
  let answer;
  do {
    progress.value = taken();
    answer = await ask({ action: "step", count: Math.min(MOST_STEPS, steps - taken()) });
  } while (answer && !answer.message && !isStopped && taken() < steps);
  progress.hidden = true;
  setRunning(false);
  if (answer && !answer.message) say(`${stepsText(taken())} taken.`);
}

function setRunning(isRunning) {
  const focused = document.activeElement;
  const buttons = [...find("controls").querySelectorAll("button")];
  for (const button of buttons) button.disabled = isRunning !== (button === find("stop"));
  // A disabled button loses the focus.
  if (isRunning && buttons.includes(focused)) lastUsed = focused;
  if (isRunning && focused === lastUsed) find("stop").focus();
  else if (!isRunning && focused === find("stop")) lastUsed.focus();
}

let lastUsed = null; // the button that has begun the run

function describe({ trace }) {
  const count = trace.arrays[trace.steps[0].loss.values].shape[0];
  return `${trace.layers[0].class} with ${trace.loss.class} and ${trace.optimizers.at(-1).class}, on ${trace.backend} ` +
    `in ${trace.dtype}, ${count === 1 ? "one example" : `${count} examples`} in each step. Below is the next step, ` +
    "which is not taken yet. Choose an entry of the input, the targets or a parameter to change it.";
}

function listen() {
  for (const button of document.querySelectorAll("[data-steps]")) {
    button.addEventListener("click", () => run(Number(button.dataset.steps)));
  }
  find("stop").addEventListener("click", () => { isStopped = true; });
  find("reset").addEventListener("click", () => ask({ action: "reset" }));
  find("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    ask({ action: "learning_rate", value: parseFloat(find("rate").value) });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawSurface(find("surface"), shown?.surface));
}

listen();
if (await ask({ action: "show" })) find("network").textContent = describe(shown);
