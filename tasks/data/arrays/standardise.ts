/**
 * Standardisation, measured from the training data: what comes out has the mean 0 and the deviation 1.
 *
 * @module
 */

/** What is taken away and divided by, of each column. */
export interface Scaling {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Columns of arrays of some shape, which have a mean and a deviation of their own. */
export interface Columns {
  readonly count: number;
  /** Elements that follow each other and are of one column. */
  readonly run: number;
}

/**
 * The columns of samples of a shape: each feature of a vector is one, each channel of an image `[channels, height,
 * width]`; of other shapes all elements are one.
 */
export function columnsOfShape(dims: readonly number[]): Columns {
  if (dims.length === 1) return { count: dims[0], run: 1 };
  if (dims.length === 3) return { count: dims[0], run: dims[1] * dims[2] };
  return { count: 1, run: 1 };
}

/**
 * Mean and deviation (of the whole, not of a sample) of each column; the deviation of a column of equal numbers is
 * taken to be 1, as scikit-learn's StandardScaler has it.
 */
export function scalingOf(data: ArrayLike<number>, { count, run }: Columns): Scaling {
  const mean = new Float64Array(count), squares = new Float64Array(count);
  const each = data.length / count;
  for (let i = 0; i < data.length; i++) mean[columnAt(i, count, run)] += data[i] / each;
  for (let i = 0; i < data.length; i++) {
    const column = columnAt(i, count, run);
    squares[column] += (data[i] - mean[column]) ** 2 / each;
  }
  // What rounding leaves of a deviation of equal numbers is none.
  const std = Array.from(squares, (square, column) => {
    const deviation = Math.sqrt(square);
    return deviation > 1e-12 * Math.abs(mean[column]) ? deviation : 1;
  });
  return { mean: [...mean], std };
}

/** The standardised numbers. */
export function standardised(
  data: ArrayLike<number>,
  { mean, std }: Scaling,
  { count, run }: Columns,
): Float32Array {
  const scaled = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const column = columnAt(i, count, run);
    scaled[i] = (data[i] - mean[column]) / std[column];
  }
  return scaled;
}

const columnAt = (i: number, count: number, run: number) => Math.floor(i / run) % count;
