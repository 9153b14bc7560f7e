// The live page: asks the server to train, and shows what it answers.

const MOST_STEPS = 1000; // of one request; the server may take fewer

const token = new URLSearchParams(location.search).get("token");
const find = (id) => document.getElementById(id);
const stepsText = (number) => `${number.toLocaleString("en")} step${number === 1 ? "" : "s"}`;

let view; // of the next step
let shown; // the last answer of the server
let isRunning = false;
let lastRequest = Promise.resolve();

/**
 * Send a request and show the answer, and what it did, in words, unless the server has a message.
 *
 * Return whether all went well.
 */
function ask(request, inWords = "") {
  lastRequest = lastRequest.then(() => send(request, inWords)); // answers come in the order of the requests
  return lastRequest;
}

async function send(request, inWords) {
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
    warn(error instanceof TypeError ? "The program does not answer. It may have ended." : error.message);
    if (shown) show(shown); // without the wrong entry
    return false;
  }
  show(shown, inWords);
  warn(shown.message ?? "");
  return !shown.message;
}

/** Show what went wrong; an empty message hides the box. */
function warn(message) {
  find("message").textContent = message;
}

/** Show what the server has answered, and in words what it did. */
function show({ trace, step, losses, learning_rate: rate, surface, message }, inWords = "") {
  const [last, loss] = losses.at(-1) ?? [];
  const taken = `${stepsText(step)} taken, loss ${last === step ? formatNumber(loss) : "not finite"}`;
  find("status").textContent = inWords && !message ? `${inWords} ${taken}` : taken;
  if (document.activeElement !== find("rate")) find("rate").value = rate ?? "";
  find("rate").disabled = find("set").disabled = rate === null;
  drawLosses(find("losses"), losses);
  drawSurface(find("surface"), surface);
  if (view) view.update(trace);
  else view = mount(find("view"), trace, { onEdit: change });
}

const change = (edit) => ask({ action: "edit", ...edit }, "Changed.");

/** Take some steps, in as many requests as the server needs, until the reader stops them. */
async function run(button) {
  if (isRunning || !shown) return;
  const [first, steps] = [shown.step, Number(button.dataset.steps)];
  const taken = () => shown.step - first;
  const progress = find("progress");
  setRunning(true);
  progress.max = steps;
  progress.hidden = steps === 1;
  let isWell;
  do {
    progress.value = taken();
    isWell = await ask({ action: "step", count: Math.min(MOST_STEPS, steps - taken()) });
  } while (isWell && isRunning && taken() < steps);
  progress.hidden = true;
  if (document.activeElement === find("stop")) button.focus(); // which a disabled button would lose
  setRunning(false);
}

function setRunning(value) {
  isRunning = value;
  find("stop").disabled = !value;
  find("controls").setAttribute("aria-busy", value);
}

function describe({ trace }) {
  const count = trace.arrays[trace.steps[0].loss.outputs].shape[0];
  return `${trace.layers[0].class} with ${trace.loss.class} and ${trace.optimizers.at(-1).class}, on ${trace.backend} ` +
    `in ${trace.dtype}, ${count === 1 ? "one example" : `${count} examples`} in each step. Below is the next step, ` +
    "which is not taken yet. Choose an entry of an input, a target or a parameter to change it.";
}

function listen() {
  for (const button of document.querySelectorAll("[data-steps]")) {
    button.addEventListener("click", () => run(button));
  }
  find("stop").addEventListener("click", () => { isRunning = false; });
  find("reset").addEventListener("click", () => {
    isRunning = false;
    ask({ action: "reset" }, "Back at the start.");
  });
  find("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = find("rate").valueAsNumber;
    ask({ action: "learning_rate", value }, `The learning rate is ${value} from now on.`);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawSurface(find("surface"), shown?.surface));
}

listen();
if (await ask({ action: "show" })) find("network").textContent = describe(shown);
