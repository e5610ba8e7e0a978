/**
 * The style sheet of a report's page: light or dark as the reader's system is, one column on a
 * phone.
 */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --card: #ffffff; --text: #1b2430; --quiet: #5c6877; --line: #dfe3e9;
  --accent: #1d4ed8; --on-accent: #ffffff; --warn: #9a3412;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1117; --card: #161b22; --text: #e6e9ef; --quiet: #9aa4b2; --line: #2b323d;
    --accent: #6ea8fe; --on-accent: #0d1117; --warn: #fdba74;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, footer { max-width: 3600px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0; }
.quiet { color: var(--quiet); margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.scroll { overflow-x: auto; }
.summary { margin: 20px 0 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; white-space: nowrap; font-size: 14px; }
caption small { font-size: 13px; font-weight: 400; }
caption span { position: sticky; left: 16px; }
caption { text-align: left; font-weight: 600; font-size: 17px; padding: 14px 16px 6px; }
th, td { text-align: right; padding: 7px 10px; border-top: 1px solid var(--line); }
thead th { color: var(--quiet); font-weight: 500; font-size: 13px; vertical-align: bottom; border-top: 0; line-height: 1.3; }
thead small { display: block; font-size: 11px; font-weight: 400; }
tbody th { text-align: left; font-weight: 500; }
th:first-child, td:first-child { padding-left: 16px; text-align: left; position: sticky; left: 0; background: var(--card); }
td.best { font-weight: 650; }
button.sort { all: unset; cursor: pointer; display: block; width: 100%; text-align: inherit; }
button.sort:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button.sort:hover { color: var(--text); }
th[aria-sort] { color: var(--text); }
th[aria-sort="ascending"] .sort::after { content: " \\2191"; }
th[aria-sort="descending"] .sort::after { content: " \\2193"; }
.swatch { display: inline-block; width: 18px; height: 0; border-top: 3px solid; border-radius: 2px; margin-right: 8px; vertical-align: middle; }
.unfinished { font-size: 12px; color: var(--warn); font-weight: 500; margin-left: 6px; }
#controls {
  position: sticky; top: 0; z-index: 5; display: flex; flex-wrap: wrap; align-items: center; gap: 8px 18px;
  padding: 12px 20px; margin: 18px -20px 0; background: color-mix(in srgb, var(--ground) 92%, transparent);
  backdrop-filter: blur(6px);
}
fieldset { border: 0; padding: 0; margin: 0; display: flex; min-width: 0; }
fieldset.axis { border: 1px solid var(--line); border-radius: 8px; background: var(--card); overflow: hidden; }
fieldset.axis label { cursor: pointer; }
fieldset.axis input { position: absolute; opacity: 0; }
fieldset.axis span { display: block; padding: 5px 12px; font-size: 14px; }
fieldset.axis input:checked + span { background: var(--accent); color: var(--on-accent); }
fieldset.axis input:focus-visible + span, button:focus-visible, .check:focus-within {
  outline: 2px solid var(--accent); outline-offset: -2px;
}
.check { font-size: 14px; display: inline-flex; gap: 6px; align-items: center; cursor: pointer; }
.check input { accent-color: var(--accent); margin: 0; width: 15px; height: 15px; }
.check input.smooth { width: 90px; }
.check input.filter, figcaption select {
  width: 15em; max-width: 60vw; height: auto; font: inherit; font-size: 13px; color: var(--text); background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 3px 8px;
}
figcaption select { width: auto; max-width: 16em; padding: 1px 6px; font-size: 12px; }
button {
  font: inherit; font-size: 13px; color: var(--text); background: var(--card); border: 1px solid var(--line);
  border-radius: 999px; padding: 3px 12px; cursor: pointer;
}
button:hover { border-color: var(--quiet); }
.runs { flex-wrap: wrap; gap: 6px; }
.runs button[aria-pressed="false"] { color: var(--quiet); border-style: dashed; text-decoration: line-through; }
.runs button[aria-pressed="false"] .swatch { opacity: 0.3; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 16px; margin: 6px 0 24px; }
figure { margin: 0; padding: 14px 16px 10px; min-width: 0; display: flex; flex-direction: column; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; }
figcaption p { flex-basis: 100%; font-size: 13px; }
figcaption .tools { margin-left: auto; display: flex; gap: 6px; }
figcaption button { padding: 1px 9px; font-size: 12px; }
figcaption button[aria-pressed="true"] { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
.chart { height: 340px; margin-top: 4px; position: relative; }
.chart .pick { position: absolute; background: var(--accent); opacity: 0.15; pointer-events: none; }
.tip { font-size: 13px; line-height: 1.45; color: var(--text); font-variant-numeric: tabular-nums; }
.tip b { font-weight: 600; }
.tip div { display: flex; align-items: center; gap: 8px; }
.tip div b { margin-left: auto; padding-left: 14px; }
.tip .swatch { margin: 0; flex: none; }
details { margin: 0 0 24px; padding: 12px 16px; overflow-wrap: anywhere; }
summary { cursor: pointer; font-weight: 600; }
details ul { margin: 8px 0 0; padding-left: 20px; }
.problems { color: var(--warn); }
footer { padding-bottom: 30px; font-size: 13px; }
footer.quiet { margin: 0 auto; }
@media (max-width: 900px) { .figures { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 560px) {
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  #controls { margin-left: -12px; margin-right: -12px; padding: 8px 12px; gap: 6px 12px; }
  fieldset.axis { width: 100%; overflow-x: auto; }
  fieldset.axis label { flex: 1; text-align: center; white-space: nowrap; }
  fieldset.axis span { padding: 6px 8px; font-size: 13px; }
  .runs { flex-wrap: nowrap; overflow-x: auto; width: 100%; }
  .runs button { white-space: nowrap; }
  figure { padding: 12px 10px 8px; }
  .chart { height: 270px; }
  h1 { font-size: 22px; }
}
@media print { #controls, .tools { display: none !important; } .card { break-inside: avoid; } body { background: none; } }
`;
