/** A picture with layers over it, drawn on one canvas: zoom, pan, and where in the picture a pointer is. */

const MOST = 40; // screen pixels for a pixel of the picture
const STEP = 1.25;

export class View extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas fills its parent
   * @param {{width: number, height: number}} size of the picture, in its own pixels
   */
  constructor(canvas, size) {
    super();
    this.canvas = canvas;
    this.size = size;
    this.layers = [];
    this.scale = 1;
    this.left = this.top = 0;
    this._pointers = new Map();
    this._fitted = true;
    new ResizeObserver(() => this._resized()).observe(canvas.parentElement);
    canvas.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this._down(event));
    canvas.addEventListener("pointermove", (event) => this._moved(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this._up(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this._resized();
  }

  /** Add a layer: anything that a canvas draws, stretched over the picture. Later ones lie above. */
  add(source, { opacity = 1, visible = true } = {}) {
    const layer = { source, opacity, visible };
    this.layers.push(layer);
    this.redraw();
    return layer;
  }

  /** Draw again, before the next frame at the latest. */
  redraw() {
    if (this._waiting) return;
    this._waiting = requestAnimationFrame(() => {
      this._waiting = 0;
      this._draw();
    });
  }

  /** Where a pointer is, in pixels of the picture, with fractions. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      (event.clientX - box.left - this.left) / this.scale,
      (event.clientY - box.top - this.top) / this.scale,
    ];
  }

  /** Show all of the picture, as large as it can be. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.min(width / this.size.width, height / this.size.height);
    this.left = (width - this.scale * this.size.width) / 2;
    this.top = (height - this.scale * this.size.height) / 2;
    this._fitted = true;
    this._changed();
  }

  /** Zoom by a factor, keeping what lies at (x, y) of the canvas where it is. */
  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const least = Math.min(this.canvas.clientWidth / this.size.width, this.canvas.clientHeight / this.size.height, 1) / 2;
    const scale = Math.min(MOST, Math.max(least, this.scale * factor));
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this._fitted = false;
    this._changed();
  }

  /** Move the picture by so many pixels of the screen. */
  pan(right, down) {
    this.left += right;
    this.top += down;
    this._fitted = false;
    this._changed();
  }

  /** Move the picture as far as a point of it has to come to be seen. */
  reveal([x, y]) {
    const far = 40;
    const [right, down] = [this.left + x * this.scale, this.top + y * this.scale];
    const inside = (at, most) => Math.min(Math.max(at, far), most - far) - at;
    const [across, along] = [inside(right, this.canvas.clientWidth), inside(down, this.canvas.clientHeight)];
    if (across || along) this.pan(across, along);
  }

  /** Keys that every picture understands; returns whether this was one. */
  key(event) {
    const far = 80;
    const moves = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      1: () => this.zoom(1 / this.scale),
      w: () => this.pan(0, far),
      s: () => this.pan(0, -far),
      a: () => this.pan(far, 0),
      d: () => this.pan(-far, 0),
    };
    const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : moves[event.key];
    if (move) move();
    return Boolean(move);
  }

  /** How many fingers, or other pointers, are down. */
  get touches() {
    return this._pointers.size;
  }

  /** Whether a press moves the picture; a page that paints says otherwise for its own buttons. */
  pans(event) {
    return event.button <= 1;
  }

  _resized() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    if (this._fitted) this.fit();
    else this._changed();
  }

  _changed() {
    this.redraw();
    this.dispatchEvent(new Event("change"));
  }

  _draw() {
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.left * ratio, this.top * ratio);
    context.imageSmoothingEnabled = this.scale * ratio < 2;
    for (const layer of this.layers) {
      if (!layer.visible) continue;
      context.globalAlpha = layer.opacity;
      if (typeof layer.source === "function") layer.source(context, this.scale);
      else context.drawImage(layer.source, 0, 0, this.size.width, this.size.height);
    }
    context.globalAlpha = 1;
  }

  _wheel(event) {
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX - box.left, event.clientY - box.top);
  }

  _down(event) {
    this._pointers.set(event.pointerId, event);
    if (this._pointers.size === 2) this.dispatchEvent(new Event("pinch"));
    if (this._pointers.size === 2 || this.pans(event)) this.canvas.setPointerCapture(event.pointerId);
  }

  _moved(event) {
    const before = this._pointers.get(event.pointerId);
    if (!before) return;
    if (this._pointers.size === 2) this._pinched(event, before);
    else if (this.pans(before)) this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    this._pointers.set(event.pointerId, { ...copy(event), button: before.button });
  }

  _pinched(event, before) {
    const other = [...this._pointers].find(([id]) => id !== event.pointerId)[1];
    const box = this.canvas.getBoundingClientRect();
    const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const x = (event.clientX + other.clientX) / 2 - box.left;
    const y = (event.clientY + other.clientY) / 2 - box.top;
    this.zoom(far(event) / far(before), x, y);
    this.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
  }

  _up(event) {
    this._pointers.delete(event.pointerId);
  }
}

/** Let the buttons of a page zoom. */
export function zooms(view, buttons) {
  for (const button of buttons) {
    button.addEventListener("click", () => (button.dataset.zoom === "fit" ? view.fit() : view.zoom(Number(button.dataset.zoom))));
  }
}

/** What is kept of an event of a pointer. */
const copy = ({ clientX, clientY, pointerId, shiftKey, pointerType }) => ({ clientX, clientY, pointerId, shiftKey, pointerType });

/** A picture from an address, or null where there is none. */
export async function loaded(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.status === 204) return null;
  const picture = await createImageBitmap(await answer.blob());
  return Object.assign(picture, { brighter: answer.headers.has("X-Brighter") });
}

/** Whether a key is meant for a field in which somebody is writing. */
export const writing = (event) => event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select") !== null;
