/** What is measured, the same for every contender; written to their command lines. */

/** One buffer size. */
export interface Size {
  /** Floats to sum. */
  readonly floats: number;
  /** Calls before the first that is timed. */
  readonly warmup: number;
  /** Calls that are timed together. */
  readonly calls: number;
  /** Times that a job takes. */
  readonly samples: number;
}

export const SIZES: readonly Size[] = [
  { floats: 1, warmup: 600, calls: 50, samples: 9 },
  { floats: 1024, warmup: 300, calls: 50, samples: 9 },
  { floats: 16_384, warmup: 100, calls: 20, samples: 9 },
  { floats: 131_072, warmup: 50, calls: 10, samples: 9 },
  { floats: 855_770, warmup: 20, calls: 3, samples: 9 }, // ResNet-56
  { floats: 24_200_000, warmup: 2, calls: 1, samples: 5 }, // AWD-LSTM on Penn Treebank
];

/** Sizes as one command-line argument: floats:warmup:calls:samples, separated by commas. */
export function encodeSizes(sizes: readonly Size[]): string {
  return sizes.map(({ floats, warmup, calls, samples }) =>
    [floats, warmup, calls, samples].join(":")
  )
    .join(",");
}

/** The sizes in such an argument. */
export function decodeSizes(text: string): Size[] {
  return text.split(",").map((part) => {
    const [floats, warmup, calls, samples] = part.split(":").map(Number);
    return { floats, warmup, calls, samples };
  });
}
