import { add, cases, formulas, multiply, variable } from "../expressions.js";

formulas.Flatten = {
  y: ({ x, y }, n, j) => x(...x.array.indicesOf(n * y.shape[1] + j)),
  dx: ({ x, dy }, n, ...at) => dy(n, at.reduce((sum, index, axis) => sum * x.shape[axis + 1] + index, 0)),
};

formulas.ChannelsLast = {
  y: ({ x }, n, h, w, c) => x(n, c, h, w),
  dx: ({ dy }, n, c, h, w) => dy(n, h, w, c),
};

formulas.Identity = {
  y: ({ x, own }, ...at) => own(x)(...at),
  dx: ({ dy, own }, ...at) => own(dy)(...at),
};

formulas.Masking = {
  ...formulas.Identity,
  mask({ x, options }, n, t) {
    const { array: { dtype, numbers, size } } = x;
    const length = size / x.shape[0] / x.shape[1];
    const padding = dtype === "float32" ? Math.fround(options.padding) : options.padding;
    const start = (n * x.shape[1] + t) * length;
    const counts = numbers.subarray(start, start + length).some((each) => each !== padding);
    return cases([`if some x ≠ ${options.padding} in the step`, counts, 1], ["else", true, 0]);
  },
};

const hyperparameter = (options, name) => variable(name, [], options[name]);

formulas.Rescale = {
  y({ x, options }, ...at) {
    const scaled = multiply(hyperparameter(options, "scale"), x(...at));
    return options.offset ? add(scaled, hyperparameter(options, "offset")) : scaled;
  },
  dx: ({ dy, options }, ...at) => multiply(hyperparameter(options, "scale"), dy(...at)),
};
