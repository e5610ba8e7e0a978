/**
 * What stands above the figures: the axis, the switches, the filter, a button for each run.
 *
 * @module
 */

import { MOST_SMOOTH } from "./address.ts";
import { hasSeeds } from "./bands.ts";
import { buildFigures, drawAll } from "./figures.ts";
import {
  type Browser,
  derive,
  keepAddress,
  make,
  makeSwatch,
  nameOf,
  type PageState,
  rangeShown,
  seedsMerged,
} from "./state.ts";
import { runStyle } from "./style.ts";
import { arrangeTable } from "./table.ts";

/** The axis buttons, switches, filter and run buttons. */
export function buildControls(page: PageState): void {
  const { document } = page;
  const whole = make(page, "button", "whole", "Whole range");
  whole.type = "button";
  whole.hidden = page.zoom === null;
  whole.addEventListener("click", () => {
    page.zoom = null;
    drawAll(page);
  });
  const runs = make(page, "fieldset", "runs");
  runs.setAttribute("aria-label", "Runs shown");
  document.getElementById("controls").replaceChildren(
    axisButtons(page),
    check(page, "log x", "Logarithmic horizontal axes", page.logX, (on) => {
      page.logX = on;
      page.zoom = null;
    }),
    check(page, "min–max", "Show the smallest and largest value", rangeShown(page), (on) => {
      page.range = on;
    }),
    ...hasSeeds(page.source)
      ? [
        check(
          page,
          "seeds as bands",
          "Runs that differ in their seeds alone as one",
          seedsMerged(page),
          (on) => {
            page.seeds = on;
            derive(page);
            buildRunButtons(page);
            buildFigures(page);
          },
        ),
      ]
      : [],
    smoothSlider(page),
    ...page.source.runs.length > 1 ? [filterField(page)] : [],
    whole,
    runs,
  );
  buildRunButtons(page);
}

/** What the table and the buttons show, after the view has changed from outside. */
export function arrange(page: PageState): void {
  arrangeTable(page);
  buildRunButtons(page);
}

function axisButtons(page: PageState): Browser {
  const axes = make(page, "fieldset", "axis");
  axes.setAttribute("aria-label", "Draw over");
  for (const axis of page.source.axes) {
    const label = make(page, "label", "");
    const input = make(page, "input", "");
    Object.assign(input, {
      type: "radio",
      name: "axis",
      value: axis.key,
      checked: axis.key === page.axis,
    });
    input.addEventListener("change", () => {
      page.axis = axis.key;
      page.zoom = null;
      derive(page);
      keepAddress(page);
      drawAll(page);
    });
    label.append(input, make(page, "span", "", axis.name));
    axes.append(label);
  }
  return axes;
}

/** A switch. */
function check(
  page: PageState,
  text: string,
  title: string,
  checked: boolean,
  change: (on: boolean) => void,
): Browser {
  const label = make(page, "label", "check");
  const input = make(page, "input", "");
  Object.assign(input, { type: "checkbox", checked });
  label.title = title;
  input.addEventListener("change", () => {
    change(input.checked);
    keepAddress(page);
    drawAll(page);
  });
  label.append(input, text);
  return label;
}

function smoothSlider(page: PageState): Browser {
  const label = make(page, "label", "check", "smooth ");
  label.title = "Lines as means over so many points on each side";
  const input = make(page, "input", "smooth");
  Object.assign(input, { type: "range", min: 0, max: MOST_SMOOTH, step: 1, value: page.smooth });
  input.addEventListener("input", () => {
    page.smooth = Number(input.value);
    keepAddress(page);
    drawAll(page);
  });
  label.append(input);
  return label;
}

function filterField(page: PageState): Browser {
  const label = make(page, "label", "check", "filter ");
  label.title = "Words of a run's label, or options: celgc interval=4 -seed=2";
  const input = make(page, "input", "filter");
  Object.assign(input, { type: "search", value: page.filter, placeholder: "celgc interval=4" });
  input.addEventListener("input", () => {
    page.filter = input.value;
    derive(page);
    keepAddress(page);
    arrange(page);
    drawAll(page);
  });
  label.append(input);
  return label;
}

/** One button a run: pressed is shown; pointing at it brings the run forward. */
export function buildRunButtons(page: PageState): void {
  const { document, data } = page;
  const buttons = data.runs.map((run, index) => {
    const button = make(page, "button", ""), name = nameOf(page, run);
    button.type = "button";
    button.setAttribute("aria-pressed", String(!page.hidden.has(name)));
    button.append(makeSwatch(page, index), run.label);
    button.addEventListener("click", () => {
      if (!page.hidden.delete(name)) page.hidden.add(name);
      button.setAttribute("aria-pressed", String(!page.hidden.has(name)));
      keepAddress(page);
      drawAll(page);
    });
    for (const [event, forward] of [["mouseenter", index], ["mouseleave", -1]] as const) {
      button.addEventListener(event, () => {
        page.forward = page.hidden.has(name) ? -1 : forward;
        drawAll(page);
      });
    }
    return button;
  });
  document.querySelector(".runs").replaceChildren(...buttons);
  for (const cell of document.querySelectorAll("[data-run]")) {
    // The table's rows are the runs one by one, whatever is drawn as one.
    const { group } = page.source.runs[Number(cell.dataset.run)];
    const run = seedsMerged(page)
      ? data.runs.findIndex((other) => other.group === group)
      : Number(cell.dataset.run);
    cell.style.borderTopColor = runStyle(data, run, page.dark()).color;
  }
}
