/** A training on the images that were selected on the page Images, if some were. */

import { selection } from "./selection.js";

const form = document.querySelector("[data-training]");
if (form && selection.size) {
  form.querySelector("[data-which]").hidden = false;
  form.querySelector("[data-count]").textContent = selection.size;
  form.elements.which.value = new URLSearchParams(location.search).has("chosen") ? "chosen" : "all";
  form.addEventListener("submit", () => {
    form.elements.images.value = form.elements.which.value === "chosen" ? [...selection].join(" ") : "";
  });
}
