/** What docs/metrics.md describes, table by table. */

const page = Deno.readTextFileSync(new URL("../../docs/metrics.md", import.meta.url));

/** Where the table of each kind of object begins. */
const BEGINNINGS = {
  position: "## metrics.jsonl",
  step: "**`step`**",
  round: "**`round`**",
  eval: "**`eval`**",
  summary: "## The summary",
  config: "## config.json",
  plan: "`plan` holds:",
  cell: "## A sweep's summary.json",
} as const;

/** A kind of object that the page has a table of. */
export type DescribedKind = keyof typeof BEGINNINGS;

/** The fields of each kind, with the rows that describe them. */
export const DESCRIBED = Object.fromEntries(
  Object.entries(BEGINNINGS).map(([kind, beginning]) => [kind, rowsAfter(beginning)]),
) as Record<string, ReadonlyMap<string, string>> as Readonly<
  Record<DescribedKind, ReadonlyMap<string, string>>
>;

/** The rows of the first table behind some text, by the names in their first column. */
function rowsAfter(beginning: string): Map<string, string> {
  const at = page.indexOf(`\n${beginning}`);
  if (at < 0) throw new Error(`docs/metrics.md has no "${beginning}"`);
  const [table] = /(?:^\|.*\n)+/m.exec(page.slice(at)) ?? [""];
  return new Map(
    table.trim().split("\n").slice(2).flatMap((row) =>
      [...row.split("|")[1].matchAll(/`(\w+)`/g)].map(([, name]) => [name, row] as const)
    ),
  );
}

/** Fields of a written object that the page does not describe as one of its kind. */
export function undescribed(written: object, kind: DescribedKind): string[] {
  const placed = ["step", "round", "eval", "summary"].includes(kind);
  return Object.keys(written).filter((name) =>
    !DESCRIBED[kind].has(name) && !(placed && DESCRIBED.position.has(name))
  ).map((name) => `${kind}.${name}`);
}
