/** The images that are worth a label, as soon as the detector has looked at them. */

import { element } from "./draw.js";

const place = document.querySelector("[data-proposals]");
const answer = await fetch("/next/proposals");
const found = await answer.json();
place.setAttribute("aria-busy", "false");
if (!answer.ok) {
  place.replaceChildren(element("p", {}, found.detail));
} else if (!found.length) {
  place.replaceChildren(element("p", {}, "Nothing to suggest: the detector knows all of these images."));
} else {
  place.replaceChildren(...found.map(({ image, name, verdict, reason }) => element(
    "li", {},
    element("a", { class: "card", href: `/images/${image}?show=unlabelled` },
      element("img", { src: `/images/${image}/preview/small`, alt: "", loading: "lazy" }),
      element("span", { class: "name" }, name),
      element("span", { class: `chip ${verdict}` }, verdict),
      element("span", { class: "quiet" }, reason)),
    element("a", { class: "button", href: `/images/${image}/paint?show=unlabelled&back=next` }, "Paint the defect"),
  )));
}
