// Results of long computations, each kept with the object that it belongs to.

const kept = new WeakMap();

/** Return what `compute` returned the first time for this owner and name. */
export function once(owner, name, compute) {
  if (!kept.has(owner)) kept.set(owner, new Map());
  const found = kept.get(owner);
  if (!found.has(name)) found.set(name, compute());
  return found.get(name);
}
