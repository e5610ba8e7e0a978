/** What is measured, the same for every contender; written to their command lines. */

/** One buffer size. */
export interface Size {
  /** Floats to sum. */
  readonly floats: number;
  /** Calls that are timed together. */
  readonly calls: number;
  /** Times that a job takes. */
  readonly samples: number;
}

export const SIZES: readonly Size[] = [
  { floats: 1, calls: 50, samples: 9 },
  { floats: 1024, calls: 50, samples: 9 },
  { floats: 16_384, calls: 20, samples: 9 },
  { floats: 131_072, calls: 10, samples: 9 },
  { floats: 855_770, calls: 3, samples: 9 }, // ResNet-56
  { floats: 24_200_000, calls: 1, samples: 5 }, // AWD-LSTM on Penn Treebank
];

/** Sizes as one command-line argument: floats:calls:samples, separated by commas. */
export function encodeSizes(sizes: readonly Size[]): string {
  return sizes.map(({ floats, calls, samples }) => `${floats}:${calls}:${samples}`).join(",");
}

/** The sizes in such an argument. */
export function decodeSizes(text: string): Size[] {
  return text.split(",").map((part) => {
    const [floats, calls, samples] = part.split(":").map(Number);
    return { floats, calls, samples };
  });
}
