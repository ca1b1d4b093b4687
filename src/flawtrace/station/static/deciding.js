/** The threshold on held-out scores: what another one would do, and how it is stored. */

import { chart, element, shape } from "./draw.js";
import { errors, histogram, interval } from "./thresholds.js";

const knowledge = JSON.parse(document.getElementById("knowledge")?.textContent ?? "null");
const panel = document.querySelector("[data-thresholds]");
if (panel && knowledge?.held_out.normal.length) {
  const slider = panel.querySelector("input[type=range]");
  const [bins, box] = [40, { width: 320, height: 120 }];
  const counts = { normal: histogram(knowledge.held_out.normal, bins), anomalous: histogram(knowledge.held_out.anomalous, bins) };
  const plot = chart(panel.querySelector("[data-histogram]"), box, "Scores of held-out images");
  const tallest = Math.max(...counts.normal, ...counts.anomalous);
  counts.normal.forEach((count, bin) => bar(bin, count, "normal", 0));
  counts.anomalous.forEach((count, bin) => bar(bin, count, "defective", 1));
  const marks = { unsure: shape(plot, "line", { class: "unsure mark" }), defect: shape(plot, "line", { class: "defect mark" }) };

  function bar(bin, count, kind, half) {
    if (!count) return;
    const tall = Math.max(3, (Math.sqrt(count / tallest) * box.height) / 2);
    const y = half ? box.height / 2 + 1 : box.height / 2 - 1 - tall;
    shape(plot, "rect", { class: kind, x: (bin * box.width) / bins + 1, y, width: box.width / bins - 2, height: tall });
  }

  const show = () => {
    const defect = Number(slider.value);
    const unsure = Math.min(knowledge.thresholds.unsure, defect);
    for (const [name, at] of Object.entries({ unsure, defect })) {
      for (const [key, value] of Object.entries({ x1: at * box.width, x2: at * box.width, y1: 0, y2: box.height })) marks[name].setAttribute(key, value);
    }
    const found = errors(knowledge.held_out, defect, unsure);
    for (const [name, one] of Object.entries(found)) {
      const [low, high] = interval(one).map((rate) => `${(100 * rate).toFixed(1)} %`);
      panel.querySelector(`[data-of=${name}]`).textContent = one.of ? `${one.count} of ${one.of} (${low} to ${high})` : "no image to tell by";
    }
    panel.querySelector("[data-value]").textContent = defect.toFixed(3);
    panel.querySelector("[data-save]").disabled = Math.abs(defect - knowledge.thresholds.defect) < 5e-4;
    const { score } = panel.dataset;
    if (score !== undefined) {
      const verdict = "unlike" in panel.dataset ? "UNSURE" : Number(score) >= defect ? "DEFECT" : Number(score) >= unsure ? "UNSURE" : "OK";
      panel.querySelector("[data-verdict]").replaceChildren(element("span", { class: `chip ${verdict}` }, verdict));
    }
  };
  slider.addEventListener("input", show);
  panel.querySelector("[data-reset]").addEventListener("click", () => {
    slider.value = knowledge.thresholds.defect;
    show();
  });
  panel.querySelector("[data-save]").addEventListener("click", async () => {
    const answer = await fetch(`/detectors/${knowledge.version}/threshold`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ threshold: Number(slider.value) }),
    });
    const said = await answer.json();
    if (answer.ok) Object.assign(knowledge.thresholds, said);
    panel.querySelector("[data-message]").textContent = answer.ok ? "Saved: verdicts are given by it from now on." : said.detail;
    show();
  });
  show();
}
