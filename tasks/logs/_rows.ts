/** The rows of each key, in order of the keys. */
export function groupBy(rows: readonly number[], key: (row: number) => number): number[][] {
  const groups = new Map<number, number[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** Their sum. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
