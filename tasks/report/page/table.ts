/**
 * The table of runs: sorted by a click on a heading, and filtered by what is typed.
 *
 * @module
 */

import { type Browser, make, matches, type PageState } from "./state.ts";

/** Makes the headings buttons that sort, and shows the rows as the page's state has them. */
export function buildTable(page: PageState, changed: () => void): void {
  const table = page.document.querySelector("#summary table");
  if (!table) return;
  const headings = [...table.querySelectorAll("thead th")];
  for (const [index, heading] of headings.entries()) {
    const button = make(page, "button", "sort");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => {
      // Once rising, once falling, then as it was.
      page.sort = page.sort === index + 1
        ? -(index + 1)
        : page.sort === -(index + 1)
        ? 0
        : index + 1;
      arrangeTable(page);
      changed();
    });
    heading.append(button);
  }
  arrangeTable(page);
}

/** Puts the rows in order, and hides those that are not looked for. */
export function arrangeTable(page: PageState): void {
  const table = page.document.querySelector("#summary table");
  if (!table) return;
  const column = Math.abs(page.sort) - 1, body = table.querySelector("tbody");
  for (const [index, heading] of [...table.querySelectorAll("thead th")].entries()) {
    if (index === column) {
      heading.setAttribute("aria-sort", page.sort > 0 ? "ascending" : "descending");
    } else heading.removeAttribute("aria-sort");
  }
  const rows: Browser[] = [...body.querySelectorAll("tr")];
  const place = (row: Browser) => Number(row.dataset.row);
  const value = (row: Browser) => row.children[column]?.dataset.value ?? "";
  rows.sort((a, b) => {
    const order = column < 0 ? 0 : compare(value(a), value(b), page.sort > 0 ? 1 : -1);
    return order || place(a) - place(b);
  });
  for (const row of rows) row.hidden = !matches(page.source.runs[place(row)], page.filter);
  body.append(...rows);
}

/** Numbers by size, texts by their letters; what has no value stands last. */
function compare(a: string, b: string, direction: 1 | -1): number {
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  const [x, y] = [Number(a), Number(b)];
  const order = Number.isNaN(x) || Number.isNaN(y)
    ? a.localeCompare(b, "en", { numeric: true })
    : x - y;
  return direction * order;
}
