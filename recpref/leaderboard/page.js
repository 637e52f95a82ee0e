// Sorting, filtering and drawing. Rows are marked with data-sort where what is shown is not what is compared.
"use strict";

function compared(cell) {
  const text = (cell.dataset.sort ?? cell.textContent).trim();
  const number = Number(text);
  if (text === "" || /^[+-]?(nan|inf|infinity)$/i.test(text)) return null; // no number is nothing to compare
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function inOrder(left, right, falling) {
  if (left === null || right === null) return (left === null) - (right === null); // what is not there comes last, either way
  const sign = falling ? -1 : 1;
  if (typeof left === "number" && typeof right === "number") return sign * (left - right);
  return sign * String(left).localeCompare(String(right));
}

function sortBy(table, column, falling) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row, place) => ({ row, place, value: compared(row.cells[column]) }));
  rows.sort((left, right) => inOrder(left.value, right.value, falling) || left.place - right.place);
  for (const { row } of rows) body.appendChild(row);
  Array.from(table.tHead.rows[0].cells).forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

function sortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const numbers = head.classList.contains("text") ? "ascending" : "descending";
      const falling = before === null ? numbers === "descending" : before === "ascending";
      sortBy(table, column, falling);
    });
  });
}

function filtered(table, asked) {
  const words = asked.words.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const here = words.every((word) => text.includes(word)) && ["data", "protocol"].every((key) => !asked[key] || row.dataset[key] === asked[key]);
    row.hidden = !here;
    shown += here;
  }
  return shown;
}

function showCutoff(root, k) {
  for (const cell of root.querySelectorAll("[data-k]")) cell.hidden = cell.dataset.k !== String(k);
}

function inks(element) {
  const style = getComputedStyle(element);
  return { ink: style.getPropertyValue("--ink").trim(), line: style.getPropertyValue("--line").trim() };
}

function laidOut(layout, ink, line) {
  const axis = (given) => ({ ...given, gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true });
  return {
    ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis), font: { color: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 50, r: 15, t: 15, b: 50 },
    legend: { orientation: "h", y: -0.3 },
  };
}

function draw(place, plots) {
  const plot = plots[Number(place.dataset.plot)];
  const { ink, line } = inks(document.documentElement);
  Plotly.react(place, plot.data, laidOut(plot.layout, ink, line), { responsive: true, displaylogo: false, displayModeBar: "hover" });
  place.dataset.drawn = "yes";
}

function start() {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const table = document.getElementById("leaderboard");
  document.querySelectorAll("table.sortable").forEach(sortable);
  const asked = () => ({
    words: document.getElementById("words").value, data: document.getElementById("data").value, protocol: document.getElementById("protocol").value,
  });
  const filter = () => { document.getElementById("count").textContent = String(filtered(table, asked())); };
  for (const id of ["words", "data", "protocol"]) document.getElementById(id).addEventListener("input", filter);
  const cutoff = document.getElementById("cutoff");
  const cut = () => showCutoff(table, cutoff.value);
  cutoff.addEventListener("input", cut);
  if (table) { filter(); cut(); }
  const places = document.querySelectorAll(".plot");
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target, plots); }
  }, { rootMargin: "400px" });
  places.forEach((place) => seen.observe(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    places.forEach((place) => { if (place.dataset.drawn) draw(place, plots); });
  });
}

if (typeof document !== "undefined") document.addEventListener("DOMContentLoaded", start);
