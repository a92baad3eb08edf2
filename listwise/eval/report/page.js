"use strict";
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element; texts are texts, never markup. */
function el(name, attributes = {}, ...content) {
  const space = name === "svg" || name === "line" || name === "text" ? "http://www.w3.org/2000/svg" : null;
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...content.flat(9).filter((each) => each !== null && each !== undefined && each !== ""));
  return made;
}

/* Light, dark, or as the system has it. */
const themes = ["system", "light", "dark"];
function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $(".theme").textContent = `Theme: ${theme}`;
  try { localStorage.setItem("listwise-theme", theme); } catch { /* a file may keep nothing */ }
}
function startThemes() {
  let theme = "system";
  try { theme = localStorage.getItem("listwise-theme") ?? theme; } catch { /* likewise */ }
  setTheme(themes.includes(theme) ? theme : "system");
  $(".theme").hidden = false;
  $(".theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "system";
    setTheme(themes[(themes.indexOf(now) + 1) % themes.length]);
  });
}

/* Tables that sort: numbers from the best down at first, texts from A; what is not known stays last. */
function sortBy(table, heading, direction) {
  const column = [...heading.parentNode.children].indexOf(heading);
  const numeric = heading.dataset.type === "number";
  const sign = direction === "ascending" ? 1 : -1;
  const key = (row) => row.children[column].dataset.sort ?? row.children[column].textContent;
  const compare = (a, b) => {
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1;
    return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => compare(a, b));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of $$("thead th", table)) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
}
function startSorting() {
  for (const heading of $$(".sortable thead th")) {
    $("button", heading).addEventListener("click", () => {
      const first = heading.dataset.type === "number" ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortBy(heading.closest("table"), heading, heading.getAttribute("aria-sort") === first ? other : first);
    });
  }
}

/* Which lines of the main table are shown. */
function startFilters() {
  const form = $("#filters");
  const rows = $$("#systems tbody tr");
  const apply = () => {
    const { collection, kind, measure, simulated, seeds, words } = form.elements;
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const { dataset } = row;
      row.hidden =
        (collection.value !== "" && dataset.collection !== collection.value) ||
        (kind.value !== "" && dataset.kind !== kind.value) ||
        dataset.measure !== measure.value ||
        (!simulated.checked && "simulated" in dataset) ||
        (!seeds.checked && dataset.part === "seed") ||
        (wanted !== "" && !$("th", row).textContent.toLowerCase().includes(wanted));
      shown += !row.hidden;
    }
    $("#shown").textContent = `${shown} of ${rows.length} lines`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

startThemes();
startSorting();
startFilters();
startQueries();
