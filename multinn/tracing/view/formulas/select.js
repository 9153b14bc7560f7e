import { formulas, number } from "../expressions.js";
import { entryAt } from "../arrays.js";

formulas.Select = {
  y: (c, ...at) => c.own(c.x[c.options.entry])(...at),
  dx: ({ dy, keys, options }, ...at) =>
    (keys[0] === String(options.entry) ? entryAt(dy, keys.slice(1))(...at) : number(0)),
};

/** Return the columns, from the text of a tuple of integers. */
function chosenColumns({ columns }) {
  if (columns.includes("…")) throw new Error("the trace has only the first columns");
  return columns.match(/\d+/g).map(Number);
}

formulas.Columns = {
  y: ({ x, options }, ...at) => x(...at.slice(0, -1), chosenColumns(options)[at.at(-1)]),
  dx({ dy, options }, ...at) {
    const j = chosenColumns(options).indexOf(at.at(-1));
    return j < 0 ? number(0) : dy(...at.slice(0, -1), j);
  },
};
