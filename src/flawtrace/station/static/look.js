/** The page of one image: layers, loss profiles under the pointer, keys. */

import { chart, shape } from "./draw.js";
import { View, loaded, writing, zooms } from "./view.js";

const page = document.querySelector("[data-look]");
const { address, width, height } = page.dataset;
const knowledge = JSON.parse(document.getElementById("knowledge")?.textContent ?? "null");
const view = new View(page.querySelector("canvas"), { width: Number(width), height: Number(height) });

// Keys: what is done often needs no mouse
const presses = {
  ArrowLeft: "[data-before]", ArrowRight: "[data-after]", j: "[data-after]", k: "[data-before]",
  o: "[data-ok]", x: "[data-defect]", p: "[data-paint]", i: "[data-inspect]",
  h: "[data-layer=heat][type=checkbox]", l: "[data-layer=outline][type=checkbox]", m: "[data-layer=painted][type=checkbox]",
};
document.addEventListener("keydown", (event) => {
  if (writing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (view.key(event)) return event.preventDefault();
  const target = presses[event.key] && document.querySelector(presses[event.key]);
  if (!target || target.disabled) return;
  event.preventDefault();
  target.click();
});
zooms(view, document.querySelectorAll("[data-zoom]"));

// The layers, and the switches that show them
const layers = {};
for (const [name, path] of Object.entries({ image: "preview/full", heat: page.dataset.heat, outline: page.dataset.outline, painted: "painted" })) {
  if (!path) continue;
  const picture = await loaded(`${address}/${path}`);
  if (!picture) continue;
  if (picture.brighter) document.querySelector("[data-brighter]").hidden = false;
  layers[name] = view.add(name === "painted" ? tinted(picture) : picture);
}
page.dataset.ready = "yes";

for (const control of page.querySelectorAll("[data-layer]")) {
  const layer = layers[control.dataset.layer];
  control.closest("label").hidden = !layer;
  if (!layer) continue;
  const apply = () => {
    if (control.type === "checkbox") layer.visible = control.checked;
    else layer.opacity = Number(control.value);
    view.redraw();
  };
  control.addEventListener("input", apply);
  apply();
}

/** A mask, white on black, as a veil of colour. */
function tinted(mask) {
  const canvas = new OffscreenCanvas(mask.width, mask.height);
  const context = canvas.getContext("2d");
  context.drawImage(mask, 0, 0);
  const pixels = context.getImageData(0, 0, mask.width, mask.height);
  for (let place = 0; place < pixels.data.length; place += 4) pixels.data.set([230, 159, 0, pixels.data[place] / 2], place);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// The loss profile under the pointer: what the method sees
const profilePanel = document.querySelector("[data-profile]");
if (profilePanel && page.dataset.heat) {
  const answer = await fetch(`${address}/profile`);
  if (answer.ok) {
    const [length, rows, columns] = answer.headers.get("X-Shape").split(",").map(Number);
    const values = new Float32Array(await answer.arrayBuffer());
    const usual = knowledge.profiles;
    const box = { width: 320, height: 140 };
    const plot = chart(profilePanel.querySelector("[data-curve]"), box, "Reconstruction error during training");
    const all = [...(usual.normal ?? []).flat(), ...(usual.defective ?? []).flat()].filter((value) => value > 0);
    const [least, most] = all.length ? [Math.min(...all) / 2, Math.max(...all) * 2] : [0.01, 10];
    const x = (step) => (step * box.width) / Math.max(1, length - 1);
    const y = (value) => box.height * (1 - Math.log(Math.min(most, Math.max(least, value)) / least) / Math.log(most / least));
    for (const kind of ["normal", "defective"]) if (usual[kind]) band(usual[kind], kind);
    const curve = shape(plot, "polyline", { class: "here" });
    const note = profilePanel.querySelector("[data-note]");

    function band([low, , high], kind) {
      const points = [...high.map((value, step) => [x(step), y(value)]), ...low.map((value, step) => [x(step), y(value)]).reverse()];
      shape(plot, "polygon", { class: `${kind} band`, points: points.join(" ") });
    }

    view.canvas.addEventListener("pointermove", (event) => {
      const [right, down] = view.at(event);
      if (right < 0 || down < 0 || right >= view.size.width || down >= view.size.height) return;
      const column = Math.floor((right / view.size.width) * columns);
      const row = Math.floor((down / view.size.height) * rows);
      const here = Array.from({ length }, (_, step) => values[(step * rows + row) * columns + column]);
      curve.setAttribute("points", here.map((value, step) => [x(step), y(value)]).join(" "));
      note.textContent = `Pixel ${Math.floor(right)}, ${Math.floor(down)}: error ${here[0].toPrecision(3)}, at the end ${here[length - 1].toPrecision(3)}`;
    });
  }
}
