/** The page on which a mask is painted: tools, keys, and saving without losing anybody's strokes. */

import { element } from "./draw.js";
import { Mask, outlined, traced } from "./mask.js";
import { View, loaded, writing, zooms } from "./view.js";

const VEIL = "rgb(0 229 255)";
const NOTHING = '"none"'; // the tag of an image without a mask
const page = document.querySelector("[data-painting]");
const { address, predicted } = page.dataset;
const size = { width: Number(page.dataset.width), height: Number(page.dataset.height) };
const view = new View(page.querySelector("canvas"), size);
const mask = new Mask(size.width, size.height);
const message = document.querySelector("[data-message]");
const typeField = document.querySelector("[name=defect_type]");
const sizeField = document.querySelector("[name=size]");
const state = { tool: "brush", points: null, corners: [], pointer: null, keyed: false, tag: null };

// What is shown: the picture, the mask as a veil, and what is being drawn
const veil = new OffscreenCanvas(1, 1);
view.add(await loaded(`${address}/preview/full`));
const shown = view.add(drawVeil, { opacity: 0.5 });
view.add(drawTool);
await reload();
page.dataset.ready = "yes";

function drawVeil(context) {
  const { width, height } = view.canvas;
  if (veil.width !== width || veil.height !== height) Object.assign(veil, { width, height });
  const layer = veil.getContext("2d");
  layer.setTransform(1, 0, 0, 1, 0, 0);
  layer.clearRect(0, 0, width, height);
  layer.setTransform(context.getTransform());
  layer.imageSmoothingEnabled = view.scale < 2;
  layer.drawImage(mask.canvas, 0, 0);
  if (state.points) {
    layer.globalCompositeOperation = state.erases ? "destination-out" : "source-over";
    layer.strokeStyle = layer.fillStyle = "#fff";
    traced(layer, state.points, brush());
  }
  layer.globalCompositeOperation = "source-in";
  layer.fillStyle = VEIL;
  layer.fillRect(-size.width, -size.height, 3 * size.width, 3 * size.height);
  layer.globalCompositeOperation = "source-over";
  const transform = context.getTransform();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(veil, 0, 0);
  context.setTransform(transform);
}

function drawTool(context, scale) {
  context.lineWidth = 1.5 / scale;
  context.strokeStyle = "#fff";
  const twice = (path) => {
    context.strokeStyle = "#000";
    context.lineWidth = 3 / scale;
    path().stroke();
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5 / scale;
    path().stroke();
  };
  if (state.corners.length) {
    const corners = state.pointer ? [...state.corners, state.pointer] : state.corners;
    twice(() => outlined(context, corners));
  }
  if (state.pointer && (state.tool === "brush" || state.tool === "eraser")) {
    twice(() => {
      context.beginPath();
      context.arc(...state.pointer, brush() / 2, 0, 2 * Math.PI);
      return context;
    });
  }
}

const brush = () => Number(sizeField.value);

// Tools
view.pans = (event) => event.button === 1 || event.button === 2 || state.tool === "move" || state.moving;
view.addEventListener("pinch", () => {
  state.points = null;
});
const { canvas } = view;
canvas.addEventListener("pointerdown", (event) => {
  if (view.pans(event) || event.button !== 0) return;
  if (view.touches > 1) return;
  canvas.setPointerCapture(event.pointerId);
  press(view.at(event), event.shiftKey);
});
canvas.addEventListener("pointermove", (event) => {
  state.pointer = view.at(event);
  state.keyed = false;
  if (state.points) {
    const between = event.getCoalescedEvents?.() ?? [];
    state.points.push(...(between.length ? between : [event]).map((one) => view.at(one)));
  }
  view.redraw();
});
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointerleave", () => {
  state.pointer = null;
  view.redraw();
});
canvas.addEventListener("dblclick", close);
canvas.addEventListener("wheel", (event) => {
  if (event.ctrlKey || event.metaKey || (state.tool !== "brush" && state.tool !== "eraser")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  resize(event.deltaY < 0 ? 1.15 : 1 / 1.15);
}, { passive: false, capture: true });

/** What the tool does where it is pressed. */
function press(at, turned) {
  if (document.querySelector("[data-conflict]").hidden) say("");
  if (state.tool === "brush" || state.tool === "eraser") {
    state.erases = (state.tool === "eraser") !== turned;
    state.points = [at];
  } else if (state.tool === "polygon") {
    state.corners.push(at);
  } else if (state.tool === "fill" && !mask.fill(...at)) {
    say("Nothing to fill here: draw a closed outline first, and click inside of it.");
  }
  view.redraw();
}

/** The end of a stroke. */
function lift() {
  if (!state.points) return;
  mask.stroke(state.points, brush(), state.erases);
  state.points = null;
}

/** Move the tool by an arrow key: by a quarter of the brush, or by one pixel with Shift. */
function steer(right, down, finely) {
  const step = finely ? 1 : Math.max(1, Math.round(brush() / 4));
  const [x, y] = state.pointer ?? [size.width / 2, size.height / 2];
  const within = (at, most) => Math.min(Math.max(at, 0), most - 1);
  state.pointer = [within(x + right * step, size.width), within(y + down * step, size.height)];
  state.keyed = true;
  state.points?.push(state.pointer);
  view.reveal(state.pointer);
  view.redraw();
}

/** Press the tool where arrow keys have brought it; a brush stays down until it is pressed again. */
function pressKey(turned) {
  if (state.points) lift();
  else press(state.pointer, turned);
}

/** Make the brush larger or smaller, by one pixel at least. */
function resize(factor) {
  const now = brush();
  const next = factor > 1 ? Math.max(now + 1, now * factor) : Math.min(now - 1, now * factor);
  sizeField.value = Math.round(Math.min(Number(sizeField.max), Math.max(1, next)));
  sizeField.dispatchEvent(new Event("input"));
}

/** Fill the polygon that was begun. */
function close() {
  if (state.corners.length > 2) mask.polygon(state.corners, false);
  state.corners = [];
  view.redraw();
}

function choose(tool) {
  state.tool = tool;
  state.corners = [];
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  canvas.dataset.tool = tool;
  view.redraw();
}

// Saving
async function reload() {
  const answer = await fetch(`${address}/painted`);
  state.tag = answer.headers.get("ETag");
  const theirs = answer.status === 200 ? await createImageBitmap(await answer.blob()) : null;
  mask.start(theirs);
  if (!theirs && predicted) {
    const begun = await loaded(`${address}/${predicted}`);
    if (begun) {
      mask.start(begun);
      mask.changed = true;
      say("This is what the detector found. Correct it, and save it.");
    }
  }
}

async function save(then) {
  close();
  if (state.tag === NOTHING && mask.empty) return say("Nothing is painted yet. If the part is good, label it as normal.");
  const body = await mask.file();
  const query = typeField.value ? `?${new URLSearchParams({ defect_type: typeField.value })}` : "";
  const answer = await fetch(`${address}/painted${query}`, {
    method: "PUT", body, headers: { "If-Match": state.tag, "Content-Type": "image/png" },
  });
  if (answer.ok) {
    state.tag = answer.headers.get("ETag");
    mask.changed = false;
    say("Saved.");
    page.dataset.saved = String(Number(page.dataset.saved ?? 0) + 1);
    if (then) location.assign(then);
    return;
  }
  if (answer.status === 401) {
    message.replaceChildren("You are logged out; nothing is lost yet. ", element("a", { href: "/login", target: "_blank" }, "Log in again"), " in another tab, and save once more.");
    return;
  }
  say((await answer.json()).detail);
  document.querySelector("[data-conflict]").hidden = answer.status !== 412;
}

/** After somebody else has saved: keep both masks, or theirs alone. */
async function settle(keepsMine) {
  const answer = await fetch(`${address}/painted`);
  state.tag = answer.headers.get("ETag");
  const theirs = answer.status === 200 ? await createImageBitmap(await answer.blob()) : null;
  if (keepsMine && theirs) mask.merge(theirs);
  if (!keepsMine) mask.replace(theirs);
  document.querySelector("[data-conflict]").hidden = true;
  say(keepsMine ? "Your strokes lie over the other mask now. Save them." : "This is the other mask. Undo brings yours back.");
}

function say(text) {
  message.textContent = text;
}

mask.addEventListener("change", () => {
  actions.undo.disabled = !mask.canUndo;
  actions.redo.disabled = !mask.canRedo;
  view.redraw();
});
const actions = Object.fromEntries([...document.querySelectorAll("[data-action]")].map((button) => [button.dataset.action, button]));
const does = {
  undo: () => (state.corners.length ? (state.corners.pop(), view.redraw()) : mask.undo()),
  redo: () => mask.redo(),
  clear: () => mask.clear(),
  save: () => save(),
  next: () => save(page.dataset.after || "/images?show=unlabelled"),
  mine: () => settle(true),
  theirs: () => settle(false),
  close,
};
for (const [name, button] of Object.entries(actions)) button.addEventListener("click", does[name]);
for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
zooms(view, document.querySelectorAll("[data-zoom]"));
document.querySelector("[name=opacity]").addEventListener("input", (event) => {
  shown.opacity = Number(event.target.value);
  view.redraw();
});
sizeField.addEventListener("input", () => {
  document.querySelector("[data-size]").textContent = `${brush()} px`;
  view.redraw();
});
window.addEventListener("beforeunload", (event) => {
  if (mask.changed && mask.canUndo) event.preventDefault();
});

// Keys
const tools = { b: "brush", e: "eraser", g: "polygon", f: "fill", v: "move" };
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const onPicture = (event) => event.target === canvas || event.target === document.body;
document.addEventListener("keydown", (event) => {
  const command = event.ctrlKey || event.metaKey;
  if (writing(event) && !(command && event.key === "s")) return;
  const done =
    (command && event.key === "z" && !event.shiftKey && (does.undo(), true)) ||
    (command && (event.key === "y" || (event.key.toLowerCase() === "z" && event.shiftKey)) && (mask.redo(), true)) ||
    (command && event.key === "s" && (save(), true)) ||
    (!command && event.key === "[" && (resize(1 / 1.15), true)) ||
    (!command && event.key === "]" && (resize(1.15), true)) ||
    (event.key === "Enter" && state.corners.length && (close(), true)) ||
    (event.key === "Enter" && event.target === document.body && (does.next(), true)) ||
    (event.key === "Escape" && ((state.corners = []), (state.points = null), view.redraw(), true)) ||
    (event.key === "Backspace" && state.corners.length && (state.corners.pop(), view.redraw(), true)) ||
    (arrows[event.key] && !command && onPicture(event) && (steer(...arrows[event.key], event.shiftKey), true)) ||
    (event.key === " " && state.keyed && onPicture(event) && (event.repeat || pressKey(event.shiftKey), true)) ||
    (event.key === " " && !event.target.closest("button, a") && ((state.moving = true), true)) ||
    (!command && tools[event.key] && (choose(tools[event.key]), true)) ||
    (!command && view.key(event));
  if (done) event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (event.key === " ") state.moving = false;
});
choose("brush");
