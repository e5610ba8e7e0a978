/**
 * What stands above the figures: the axis, the switches, a button for each run.
 *
 * @module
 */

import { drawAll } from "./figures.ts";
import { type Browser, make, makeSwatch, type PageState } from "./state.ts";
import { runStyle } from "./style.ts";

/** The axis buttons, switches and run buttons. */
export function buildControls(page: PageState): void {
  const { document } = page;
  const controls = document.getElementById("controls");
  const axes = make(page, "fieldset", "axis");
  axes.setAttribute("aria-label", "Draw over");
  for (const axis of page.data.axes) {
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
      (globalThis as Browser).history.replaceState(null, "", `#${axis.key}`);
      drawAll(page);
    });
    label.append(input, make(page, "span", "", axis.name));
    axes.append(label);
  }
  const check = (text: string, title: string, checked: boolean, change: (on: boolean) => void) => {
    const label = make(page, "label", "check");
    const input = make(page, "input", "");
    Object.assign(input, { type: "checkbox", checked });
    label.title = title;
    input.addEventListener("change", () => {
      change(input.checked);
      drawAll(page);
    });
    label.append(input, text);
    return label;
  };
  const whole = make(page, "button", "whole", "Whole range");
  whole.hidden = true;
  whole.addEventListener("click", () => {
    page.zoom = null;
    drawAll(page);
  });
  const runs = make(page, "fieldset", "runs");
  runs.setAttribute("aria-label", "Runs shown");
  controls.replaceChildren(
    axes,
    check("log x", "Logarithmic horizontal axes", page.logX, (on) => {
      page.logX = on;
      page.zoom = null;
    }),
    check("min–max", "Show the smallest and largest value of each bin", page.range, (on) => {
      page.range = on;
    }),
    whole,
    runs,
  );
  buildRunButtons(page);
}

/** One button a run: pressed is shown; pointing at it brings the run forward. */
export function buildRunButtons(page: PageState): void {
  const { document, data } = page;
  const buttons = data.runs.map((run, index) => {
    const button = make(page, "button", "");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!page.hidden.has(run.label)));
    button.append(makeSwatch(page, index), run.label);
    button.addEventListener("click", () => {
      if (!page.hidden.delete(run.label)) page.hidden.add(run.label);
      button.setAttribute("aria-pressed", String(!page.hidden.has(run.label)));
      drawAll(page);
    });
    for (const [event, forward] of [["mouseenter", index], ["mouseleave", -1]] as const) {
      button.addEventListener(event, () => {
        page.forward = page.hidden.has(run.label) ? -1 : forward;
        drawAll(page);
      });
    }
    return button;
  });
  document.querySelector(".runs").replaceChildren(...buttons);
  for (const cell of document.querySelectorAll("[data-run]")) {
    cell.style.borderTopColor = runStyle(data, Number(cell.dataset.run), page.dark()).color;
  }
}
