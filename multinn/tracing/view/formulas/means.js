// Means over the entries, or over the positions, of one example in a loss.

import { divide, sum } from "../expressions.js";
import { productOf } from "../losses.js";

const ENTRY_NAMES = ["j", "k", "l", "m"], POSITION_NAMES = ["r", "c", "d"];

// `entry` are the indices of the entry whose own loss is wanted instead, if there is one.
function meanOver(names, lengths, term, entry) {
  if (entry) return term(...entry);
  if (productOf(lengths) === 1) return term(...lengths.map(() => 0));
  return divide(sum(names.slice(0, lengths.length), lengths, term), productOf(lengths));
}

/** The mean over the entries of an example of outputs; the term takes the indices after the first. */
export const meanOfEntries = ({ shape, entry }, term) => meanOver(ENTRY_NAMES, shape.slice(1), term, entry);

/** The mean over the positions of an example of outputs, whose last axis is not one of positions. */
export const meanOfPositions = ({ shape, entry }, term) => meanOver(POSITION_NAMES, shape.slice(1, -1), term, entry);

const shareOf = (expression, lengths, entry) =>
  (entry || productOf(lengths) === 1 ? expression : divide(expression, productOf(lengths)));

/** The derivative of the mean over entries, from the derivative of a term. */
export const shareOfEntry = ({ shape, entry }, expression) => shareOf(expression, shape.slice(1), entry);

/** The derivative of the mean over positions, from the derivative of a term. */
export const shareOfPosition = ({ shape, entry }, expression) => shareOf(expression, shape.slice(1, -1), entry);
