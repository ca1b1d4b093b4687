/** A job that runs: how far it is, its losses and reward, and where the sampler has been. */

import { chart, element, shape } from "./draw.js";

const page = document.querySelector("[data-job]");
const bar = page.querySelector("progress");
const phase = page.querySelector("[data-phase]");
const notes = page.querySelector("[data-notes]");
const box = { width: 400, height: 120 };
const KEPT = 400; // points of a curve
const curves = new Map();
const started = Date.now();
let first = null;

const source = new EventSource(`/jobs/${page.dataset.job}/events`);
source.addEventListener("state", (event) => {
  const chip = page.querySelector("[data-state]");
  chip.textContent = event.data;
  chip.className = `chip ${event.data === "running" ? "UNSURE" : "quiet"}`;
  if (event.data === "waiting") phase.textContent = "Waiting for its turn";
});
source.addEventListener("progress", (event) => {
  const row = JSON.parse(event.data);
  if (row.error || row.note) {
    notes.append(element("p", {}, row.error ?? row.note));
    return;
  }
  bar.max = row.total;
  bar.value = row.done;
  phase.textContent = `${row.phase}${left(row)}`;
  for (const [name, value] of Object.entries(row.values ?? {})) plotted(name, row.done, value);
  if (row.visits) visited(row.visits);
});
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CONNECTING) phase.textContent = "The station does not answer; trying again";
});
source.addEventListener("end", (event) => {
  source.close();
  if (page.dataset.over !== "yes") location.reload();
  else phase.textContent = JSON.parse(event.data).message;
});

/** How long it will take, once that can be told. */
function left({ done, total, phase: name }) {
  if (!first || first.name !== name) first = { name, done, at: Date.now() };
  const rate = (done - first.done) / (Date.now() - first.at);
  if (Date.now() - started < 5000 || !(rate > 0)) return "";
  const seconds = (total - done) / rate / 1000;
  return seconds > 90 ? `, about ${Math.round(seconds / 60)} minutes left` : `, about ${Math.round(seconds)} seconds left`;
}

/** Add a point to a curve. A training that goes on from a checkpoint takes back what came after it. */
function plotted(name, done, value) {
  let curve = curves.get(name);
  if (!curve) {
    const figure = element("figure", { class: "curve" }, element("figcaption", {}, element("b", {}, name), " ", element("span", {})));
    page.querySelector("[data-curves]").append(figure);
    const plot = chart(figure, box, name);
    curve = { points: [], line: shape(plot, "polyline", { class: "here" }), number: figure.querySelector("span") };
    curves.set(name, curve);
  }
  if (curve.points.at(-1)?.done >= done) curve.points = curve.points.filter((one) => one.done < done);
  curve.points.push({ done, value });
  if (curve.points.length > KEPT) curve.points = curve.points.filter((_, index) => index % 2);
  const values = curve.points.map((one) => one.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const begun = curve.points[0].done;
  const points = curve.points.map((one) => [
    ((one.done - begun) * box.width) / (done - begun || 1),
    box.height * (1 - (one.value - low) / (high - low || 1)) * 0.94 + 3,
  ]);
  curve.line.setAttribute("points", points.join(" "));
  curve.number.textContent = `${value.toPrecision(3)} (${low.toPrecision(3)} to ${high.toPrecision(3)})`;
}

/** Where patches were taken in this cycle, dark where there were none. */
function visited(rows) {
  const figure = page.querySelector("[data-visits]");
  figure.hidden = false;
  const canvas = figure.querySelector("canvas");
  Object.assign(canvas, { width: rows[0].length, height: rows.length });
  const context = canvas.getContext("2d");
  rows.forEach((row, y) => row.forEach((value, x) => {
    const share = value / 255;
    context.fillStyle = `rgb(${Math.round(20 + 210 * share)} ${Math.round(30 + 129 * share)} ${Math.round(60 * (1 - share))})`;
    context.fillRect(x, y, 1, 1);
  }));
}
