/** Elements and shapes, made by name: no markup is ever parsed from text. */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and contents, which are elements or text. */
export function element(name, attributes = {}, ...contents) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...contents);
  return made;
}

/** An empty plot of so many units in an element, which it fills; `title` is what it is called to those who do not see it. */
export function chart(parent, { width, height }, title) {
  const plot = shape(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, preserveAspectRatio: "none" });
  return plot;
}

/** A shape in a plot. */
export function shape(parent, name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}
