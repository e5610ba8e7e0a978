/** Images in another size. */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  constantInput,
  intAttribute,
  intsAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../../operator.ts";
import { axisOf } from "../_common.ts";

/** How one axis changes. */
interface Axis {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
}

/** Where in the image an element of the result lies, along one axis (ONNX's coordinate transformations). */
function positions(call: Application, { from, to, scale }: Axis): number[] {
  const mode = stringAttribute(call, "coordinate_transformation_mode", "half_pixel");
  const half = (i: number) => (i + 0.5) / scale - 0.5;
  const place: Record<string, (i: number) => number> = {
    half_pixel: half,
    half_pixel_symmetric(i) {
      const adjustment = to / (scale * from);
      return from / 2 * (1 - adjustment) + half(i);
    },
    pytorch_half_pixel: (i) => to > 1 ? half(i) : 0,
    align_corners: (i) => to > 1 ? i * (from - 1) / (to - 1) : 0,
    asymmetric: (i) => i / scale,
  };
  if (!place[mode]) {
    throw new OperatorError(
      call,
      `coordinate_transformation_mode "${mode}" is not supported; ${
        Object.keys(place).join(", ")
      } are`,
    );
  }
  return Array.from({ length: to }, (_, i) => place[mode](i));
}

/** The element that stands nearest, for each of the result's. */
function nearest(call: Application, axis: Axis): number[] {
  const mode = stringAttribute(call, "nearest_mode", "round_prefer_floor");
  const round: Record<string, (x: number) => number> = {
    round_prefer_floor: (x) => Math.ceil(x - 0.5),
    round_prefer_ceil: (x) => Math.floor(x + 0.5),
    floor: Math.floor,
    ceil: Math.ceil,
  };
  if (!round[mode]) throw new OperatorError(call, `nearest_mode "${mode}" is not known`);
  return positions(call, axis).map((x) => Math.min(axis.from - 1, Math.max(0, round[mode](x))));
}

/** The weights `[to, from]` of a linear or cubic interpolation along one axis, row-major. */
function weights(call: Application, axis: Axis, cubic: boolean): number[] {
  const { from, to } = axis, rows = new Array<number>(to * from).fill(0);
  const a = Number(call.attributes.cubic_coeff_a ?? -0.75);
  const outside = intAttribute(call, "exclude_outside", 0) !== 0;
  const share = (distance: number) => {
    const d = Math.abs(distance);
    if (!cubic) return Math.max(0, 1 - d);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1; // Keys 1981
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
  };
  positions(call, axis).forEach((x, i) => {
    if (!cubic) x = Math.min(from - 1, Math.max(0, x));
    const first = Math.floor(x) - (cubic ? 1 : 0);
    const taps = Array.from({ length: cubic ? 4 : 2 }, (_, k) => first + k)
      .map((at) => ({ at, weight: share(x - at) }))
      .filter(({ at }) => !outside || !cubic || at >= 0 && at < from);
    const whole = outside && cubic ? taps.reduce((sum, { weight }) => sum + weight, 0) : 1;
    for (const { at, weight } of taps) {
      rows[i * from + Math.min(from - 1, Math.max(0, at))] += weight / whole;
    }
  });
  return rows;
}

/** The axes that change, from the scales or the sizes that are asked for. */
function axesOf(call: Application, x: Value): Axis[] {
  const all = x.dims.map((_, axis) => axis);
  const axes = intsAttribute(call, "axes", all).map((axis) => axisOf(call, axis, all.length));
  const scales = constantInput(call, 2, "scales"), sizes = constantInput(call, 3, "sizes");
  const given = sizes?.length ? sizes : scales ?? [];
  if (given.length !== axes.length) {
    throw new OperatorError(call, `${given.length} scales or sizes for ${axes.length} axes`);
  }
  const policy = stringAttribute(call, "keep_aspect_ratio_policy", "stretch");
  const ratios = axes.map((axis, i) => given[i] / x.dims[axis]);
  const common = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return axes.map((axis, i) => {
    const from = x.dims[axis];
    if (!sizes?.length) return { axis, from, to: Math.floor(from * given[i]), scale: given[i] };
    const to = policy === "stretch" ? given[i] : Math.round(common * from);
    return { axis, from, to, scale: policy === "stretch" ? to / from : common };
  }).filter(({ from, to, scale }) => from !== to || scale !== 1);
}

/** Every element `times` over, side by side. */
function repeated(g: Graph, x: Value, axis: number, times: number): Value {
  const split = g.unsqueeze(x, [axis + 1]);
  const each = g.expand(split, split.dims.with(axis + 1, times));
  return g.reshape(each, x.dims.with(axis, x.dims[axis] * times));
}

/** Resizing. */
export const resizeOperators: Operators = {
  /**
   * `[x, roi, scales, sizes]`, all but x constants: by the nearest elements, or linear or cubic in each axis,
   * as products with a matrix of weights, so that its gradient is a product too.
   */
  Resize: composite((g, call) => {
    const x = required(call, 0, "image"), mode = stringAttribute(call, "mode", "nearest");
    if (intAttribute(call, "antialias", 0)) {
      throw new OperatorError(call, "antialias is not supported; export with antialias=False");
    }
    if (!["nearest", "linear", "cubic"].includes(mode)) {
      throw new OperatorError(call, `mode "${mode}" is not known`);
    }
    let y = x;
    for (const each of axesOf(call, x)) {
      const { axis, from, to } = each;
      if (mode === "nearest") {
        const chosen = nearest(call, each), times = to / from;
        const whole = Number.isInteger(times) &&
          chosen.every((at, i) => at === Math.floor(i / times));
        y = whole ? repeated(g, y, axis, times) : g.op("Gather", [y, g.ints(chosen)], { axis });
        continue;
      }
      const rows = g.constant(x.type, [to, from], weights(call, each, mode === "cubic"));
      const order = y.dims.map((_, i) => i).toSpliced(axis, 1);
      if (axis === y.dims.length - 2) y = g.matmul(rows, y);
      else if (axis === y.dims.length - 1) y = g.matmul(y, g.transpose(rows));
      else {
        const product = g.matmul(g.transpose(y, [...order, axis]), g.transpose(rows));
        y = g.transpose(
          product,
          y.dims.map((_, i) => i < axis ? i : i === axis ? order.length : i - 1),
        );
      }
    }
    return [y];
  }),
};
