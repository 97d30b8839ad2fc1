"use strict";

// A heading's button sorts its table: largest number first, words from A; again turns the order round.
function sortTable(heading) {
  const row = heading.parentElement;
  const column = [...row.children].indexOf(heading);
  const isNumber = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const first = isNumber ? "descending" : "ascending";
  const second = isNumber ? "ascending" : "descending";
  const order = before === first ? second : first;
  for (const other of row.children) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = heading.closest("table").tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compare(a.cells[column], b.cells[column], isNumber, sign));
  body.append(...rows);
}

// Empty cells stay last in both orders.
function compare(a, b, isNumber, sign) {
  if (!isNumber) return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  const [x, y] = [a, b].map((cell) => cell.dataset.value);
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
  return sign * (Number(x) - Number(y));
}

const ZOOM_STEPS = 4;

function zoom(button) {
  const figure = button.closest("figure");
  const image = figure.querySelector("img");
  const level = Math.min(ZOOM_STEPS, Math.max(0, Number(image.dataset.level || 0) + Number(button.dataset.zoom)));
  image.dataset.level = level;
  image.style.width = 100 * 1.6 ** level + "%";
  figure.querySelector("[data-zoom='1']").disabled = level === ZOOM_STEPS;
  figure.querySelector("[data-zoom='-1']").disabled = level === 0;
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortTable(button.parentElement));
}
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.disabled = button.dataset.zoom === "-1";
  button.addEventListener("click", () => zoom(button));
}
