import { add, define, divide, formulas, multiply, number, power, sign, squareRoot, stably, subtract, variable } from "../expressions.js";
import { descended } from "./descent.js";
