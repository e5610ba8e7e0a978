/** Preloaded by the tests of examples: a `console.assert` that does not hold fails the example. */

console.assert = (holds?: boolean, ...message: unknown[]): void => {
  if (!holds) throw new Error(["an assertion of an example does not hold", ...message].join(": "));
};
