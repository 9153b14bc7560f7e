// A trace: its arrays, its frames, and what a formula sees of a layer, the loss or an optimizer.

import { variable } from "./expressions.js";

const TYPES = {
  float64: Float64Array, float32: Float32Array, int64: BigInt64Array,
  int32: Int32Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
};

/** An array of a trace: numbers in row-major order. */
export class NumberArray {
  constructor(entry) {
    this.shape = entry.shape;
    this.dtype = entry.dtype;
    this.size = entry.shape.reduce((product, length) => product * length, 1);
    this.columns = entry.shape.at(-1) ?? 1;
    this.entry = entry;
  }

  /** The numbers, which are read when they are needed. */
  get numbers() {
    if (!this.known) {
      this.known = readNumbers(this.entry, this.size);
      if (this.known.length !== this.size) throw new Error(`expected ${this.size} numbers, got ${this.known.length}`);
    }
    return this.known;
  }

  /** Return the entry at these indices. */
  at(...indices) {
    const place = indices.reduce((sum, index, axis) => sum * this.shape[axis] + index, 0);
    return this.numbers[place];
  }

  /** Return the indices of the entry at a place in row-major order. */
  indicesOf(place) {
    return this.shape.reduceRight(([indices, rest], length) =>
      [[rest % length, ...indices], Math.floor(rest / length)], [[], place])[0];
  }
}

function readNumbers(entry, size) {
  if (entry.dtype === "float32" && entry.values) return Float64Array.from(Float32Array.from(entry.values));
  if (entry.values) return Float64Array.from(entry.values);
  if ("value" in entry) {
    return new Float64Array(size).fill(entry.dtype === "float32" ? Math.fround(entry.value) : Number(entry.value));
  }
  const text = atob(entry.base64);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k += 1) bytes[k] = text.charCodeAt(k);
  const numbers = new TYPES[entry.dtype](bytes.buffer);
  return entry.dtype === "int64" ? Float64Array.from(numbers, Number) : new Float64Array(numbers);
}

const ORDERS = ["number", "forward", "backward"]; // entries of a step that hold no arrays

/** The steps of a trace, with `NumberArray`s in place of their indices. */
export class Trace {
  constructor(data) {
    if (data?.format !== "multinn.trace" || data.version !== 1) {
      throw new Error(`expected a trace of version 1, got ${data?.format} of version ${data?.version}`);
    }
    this.data = data;
    this.arrays = [];
    this.steps = data.steps.map((step) => Object.fromEntries(Object.entries(step).map(([name, value]) =>
      [name, ORDERS.includes(name) ? value : this.decode(value)])));
    this.frames = this.steps.flatMap((step, number) => framesOf(data, step, number));
  }

  decode(value) {
    if (value === null) return null;
    if (typeof value === "number") return (this.arrays[value] ??= new NumberArray(this.data.arrays[value]));
    if (Array.isArray(value)) return value.map((child) => this.decode(child));
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, this.decode(child)]));
  }
}

/** Return the frames of a step: forward, the loss, backward, the update. */
function framesOf(data, step, number) {
  // A Sequential computes nothing itself.
  const layers = (kind) => step[kind].filter((layer) => !data.layers[layer].sequential).map((layer) => ({ step: number, kind, layer }));
  const updates = step.updates ? [{ step: number, kind: "update" }] : [];
  const losses = headsOf(step.loss).map((head) => ({ step: number, kind: "loss", head }));
  return [...layers("forward"), ...losses, ...layers("backward"), ...updates];
}

/** Return the keys that lead to each loss within a loss, and last those of the loss itself, which are none. */
const headsOf = ({ heads }) =>
  [...Object.entries(heads ?? {}).flatMap(([key, each]) => headsOf(each).map((keys) => [key, ...keys])), []];

/** Return a loss within a loss. */
export const headAt = (loss, keys) => keys.reduce(({ heads }, key) => heads[key], loss);

/** Return the name of a part: its class, and of a Select also the entry. */
export const titleOf = ({ class: name, hyperparameters }) =>
  (name === "Select" ? `${name} ${hyperparameters.entry}` : name);

const isMasked = (x) => x?.mask?.dtype === "bool" && "values" in x; // a model may call its own inputs so

/** Return the smallest, the largest and the mean number of an array, and the size of the largest finite one. */
export function extremes(array) {
  if (!array.extremes) {
    let [low, high, total, size] = [Infinity, -Infinity, 0, 0];
    for (const value of array.numbers) {
      if (value < low) low = value;
      if (value > high) high = value;
      total += value;
      const own = Math.abs(value);
      if (own > size && own < Infinity) size = own;
    }
    array.extremes = { low, high, mean: total / array.size, size };
  }
  return array.extremes;
}

/** Return the values of an input or output, which may have a mask. */
export const valuesOf = (x) => (isMasked(x) ? x.values : x);
export const maskOf = (x) => (isMasked(x) ? x.mask : null);

/**
 * Return a function from indices to the variable of an entry, for formulas.
 *
 * The function has `shape`, and `at`, which returns the number. An index that is a name, such as "i",
 * gives a variable for symbols only.
 */
export function entries(name, array) {
  const entry = (...indices) =>
    variable(name, indices, indices.every(Number.isInteger) ? array.at(...indices) : NaN);
  return Object.assign(entry, { shape: array.shape, at: (...indices) => array.at(...indices), array });
}

/**
 * Return a tree of `NumberArray`s as a tree of functions from indices to variables.
 *
 * `join` returns the name of an entry from that of the tree and a key, which is a number in an array.
 */
export function tree(name, found, join = (own, key) => (typeof key === "number" ? own : `${own}${key}`)) {
  const value = valuesOf(found);
  if (value === null || value === undefined) return value;
  if (value instanceof NumberArray) return entries(name, value);
  if (Array.isArray(value)) return value.map((child, key) => tree(join(name, key), child, join));
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, tree(join(name, key), child, join)]));
}

/** Return a name with a label, such as "x age", or "x b.c" from "x b" and "c". */
export const withLabel = (name, label) => [name, label].filter((each) => each !== "").join(name.includes(" ") ? "." : " ");

/** Return the same for inputs or outputs of several arrays, whose names have labels. */
export const labelled = (name, found) => tree(name, found, withLabel);

/** Return each array of a tree with its path, such as "0.W", and the keys in it. */
export function leaves(found, keys = []) {
  const value = valuesOf(found);
  if (value === null || value === undefined) return [];
  if (value instanceof NumberArray) return [[keys.join("."), value, keys]];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, [...keys, key]));
}

/** Return the entry of a tree to which keys lead. */
export const entryAt = (found, keys) => keys.reduce((entry, key) => entry?.[key], found);
