/**
 * The folder of a real data set (`cifar10`, `ptb`, `wikitext2`) for tests: inside the folder that
 * CELGC_TEST_DATA names, or else inside `shared/data` beside the repository; null where it is not.
 */
export function realData(name: string): string | null {
  const root = Deno.env.get("CELGC_TEST_DATA") ??
    new URL("../../../../shared/data", import.meta.url).pathname;
  try {
    return Deno.statSync(`${root}/${name}`).isDirectory ? `${root}/${name}` : null;
  } catch {
    return null;
  }
}

/** Registers a test on real data; where the data is not, the test is skipped and its name says why. */
export function testWithData(
  data: string,
  name: string,
  body: (directory: string) => void | Promise<void>,
): void {
  const directory = realData(data);
  Deno.test({
    name: directory === null
      ? `${name} (skipped: no ${data}/ in the folder CELGC_TEST_DATA names)`
      : name,
    ignore: directory === null,
    fn: () => body(directory!),
  });
}
