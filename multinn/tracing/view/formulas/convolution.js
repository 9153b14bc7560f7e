import { add, formulas, multiply, number, range, sum, variable } from "../expressions.js";
import { placeNames, windowNames, windowsOn } from "./windows.js";

/**
 * The windows on an image, one number per channel of each, and the weights between both.
 *
 * A convolution computes the windows from the image, a transposed convolution the image from the windows.
 * W is (places..., channels of the image in a group, channels of the windows).
 */
class Correlation {
  constructor({ options, params: { W } }, image, windows) {
    Object.assign(this, { W, image, windows });
    this.axes = windowsOn(image, windows, { ...options, size: options.kernel_size });
    this.channels = W.shape.at(-2); // of the image, in a group
    this.filters = W.shape.at(-1) / options.groups; // channels of the windows, in a group
  }

  /** The entry of the image at these places of windows, with channel c of the group of channel f. */
  imageEntry(n, windows, places, c, f) {
    const first = Math.floor(f / this.filters) * this.channels;
    const channel = Number.isInteger(c) ? first + c : first ? `${c}+${first}` : c;
    return this.image(n, ...this.axes.map((axis, k) => axis.position(windows[k], places[k])), channel);
  }

  /** Σ_ijc image_{n, s h + d i - p, ..., c} W_ijcf, with the name of c. */
  toWindows(name, n, ...indices) {
    const [at, f] = [indices.slice(0, -1), indices.at(-1)];
    const places = this.axes.map((axis, k) => axis.placesOf(at[k]));
    return sum([...placeNames(at.length), name], [...places, this.channels], (...place) => {
      const c = place.pop();
      return multiply(this.imageEntry(n, at, place, c, f), this.W(...place, c, f));
    });
  }

  /** Σ_ijf windows_{n, (h + p - d i) / s, ..., f} W_ijcf, with the name of f: the adjoint of `toWindows`. */
  toImage(name, n, ...indices) {
    const [at, c] = [indices.slice(0, -1), indices.at(-1)];
    const places = this.axes.map((axis, k) => axis.placesAt(at[k]));
    const first = Math.floor(c / this.channels) * this.filters;
    const filters = range(this.filters).map((f) => first + f);
    return sum([...placeNames(at.length), name], [...places, filters], (...place) => {
      const f = place.pop();
      const window = this.axes.map((axis, k) => axis.window(at[k], place[k]));
      return multiply(this.windows(n, ...window, f), this.W(...place, c % this.channels, f));
    });
  }

  /** Σ_nhw image_{n, s h + d i - p, ..., c} windows_nhwf. */
  weightGradient(...indices) {
    const [place, [c, f]] = [indices.slice(0, -2), indices.slice(-2)];
    const windows = this.axes.map((axis, k) => axis.windowsOf(place[k]));
    return sum(["n", ...windowNames(place.length)], [this.image.shape[0], ...windows], (n, ...at) =>
      multiply(this.imageEntry(n, at, place, c, f), this.windows(n, ...at, f)));
  }
}

const withBias = ({ params: { b } }, total, f) => (b ? add(total, b(f)) : total);

const biasGradient = ({ dy }, f) =>
  sum(["n", ...windowNames(dy.shape.length - 2)], dy.shape.slice(0, -1), (...at) => dy(...at, f));

/** Return x, where time steps that the mask marks as padding are 0. */
function withoutPadding({ x, mask }) {
  if (!mask) return x;
  const entry = (n, t, c) => (mask.at(n, t) === 0 ? variable("x", [n, t, c], 0) : x(n, t, c));
  return Object.assign(entry, { shape: x.shape });
}

formulas.Conv2D = {
  y: (c, ...at) => withBias(c, new Correlation(c, withoutPadding(c), c.y).toWindows("c", ...at), at.at(-1)),
  dx: (c, ...at) => (c.mask?.at(at[0], at[1]) === 0 ? number(0) : new Correlation(c, c.x, c.dy).toImage("f", ...at)),
  gradients: {
    W: (c, ...at) => new Correlation(c, withoutPadding(c), c.dy).weightGradient(...at),
    b: biasGradient,
  },
};
formulas.Conv1D = formulas.Conv2D;

formulas.ConvTranspose2D = {
  y: (c, ...at) => withBias(c, new Correlation(c, c.y, c.x).toImage("c", ...at), at.at(-1)),
  dx: (c, ...at) => new Correlation(c, c.dy, c.x).toWindows("f", ...at),
  gradients: {
    W: (c, ...at) => new Correlation(c, c.dy, c.x).weightGradient(...at),
    b: biasGradient,
  },
};
formulas.ConvTranspose1D = formulas.ConvTranspose2D;
