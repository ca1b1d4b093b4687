/** A mask that is being painted: marks, and the way back from each. */

const MOST = 60; // steps back

export class Mask extends EventTarget {
  constructor(width, height) {
    super();
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this._undo = [];
    this._redo = [];
    this.changed = false;
  }

  get width() {
    return this.canvas.width;
  }

  get height() {
    return this.canvas.height;
  }

  get canUndo() {
    return this._undo.length > 0;
  }

  get canRedo() {
    return this._redo.length > 0;
  }

  /** Begin with a mask, white where it marks; there is no way back behind it. */
  start(picture) {
    this.context.clearRect(0, 0, this.width, this.height);
    this._draw(picture);
    this._undo = [];
    this._redo = [];
    this.changed = false;
    this._told();
  }

  /** Paint, or erase, along points (x, y) with a round brush of so many pixels. */
  stroke(points, size, erases) {
    const reach = size / 2 + 2;
    this._step(boxOf(points, reach), () => this._painting(erases, () => traced(this.context, points, size)));
  }

  /** Fill a polygon. */
  polygon(points, erases) {
    this._step(boxOf(points, 2), () => this._painting(erases, () => outlined(this.context, points).fill()));
  }

  /** Fill what a closed outline surrounds at a point; false where nothing surrounds it. */
  fill(x, y) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return false;
    const pixels = this.context.getImageData(0, 0, this.width, this.height);
    const box = flooded(pixels, column, row);
    if (box) this._step(box, () => this.context.putImageData(pixels, 0, 0));
    return box !== null;
  }

  /** Take everything away. */
  clear() {
    this._step([0, 0, this.width, this.height], () => this.context.clearRect(0, 0, this.width, this.height));
  }

  /** Put another mask in its place, as a step that can be undone. */
  replace(picture) {
    this._step([0, 0, this.width, this.height], () => {
      this.context.clearRect(0, 0, this.width, this.height);
      this._draw(picture);
    });
  }

  /** Lay another mask over this one. */
  merge(picture) {
    const mine = new OffscreenCanvas(this.width, this.height);
    mine.getContext("2d").drawImage(this.canvas, 0, 0);
    this._step([0, 0, this.width, this.height], () => {
      this.context.clearRect(0, 0, this.width, this.height);
      this._draw(picture);
      this.context.drawImage(mine, 0, 0);
    });
  }

  undo() {
    this._back(this._undo, this._redo);
  }

  redo() {
    this._back(this._redo, this._undo);
  }

  /** Whether it marks anything. */
  get empty() {
    const { data } = this.context.getImageData(0, 0, this.width, this.height);
    for (let place = 3; place < data.length; place += 4) if (data[place] >= 128) return false;
    return true;
  }

  /** A PNG of the picture's own size, white where the mask marks and black elsewhere. */
  async file() {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const pixels = this.context.getImageData(0, 0, this.width, this.height);
    const { data } = pixels;
    for (let place = 0; place < data.length; place += 4) {
      const value = data[place + 3] >= 128 ? 255 : 0;
      data[place] = data[place + 1] = data[place + 2] = value;
      data[place + 3] = 255;
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }

  _painting(erases, paint) {
    this.context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    this.context.fillStyle = this.context.strokeStyle = "#fff";
    paint();
    this.context.globalCompositeOperation = "source-over";
  }

  /** Mark what is white in a picture, if there is one, on an empty mask. */
  _draw(picture) {
    if (!picture) return;
    this.context.drawImage(picture, 0, 0, this.width, this.height);
    const pixels = this.context.getImageData(0, 0, this.width, this.height);
    const { data } = pixels;
    for (let place = 0; place < data.length; place += 4) {
      const value = data[place] >= 128 && data[place + 3] >= 128 ? 255 : 0;
      data[place] = data[place + 1] = data[place + 2] = data[place + 3] = value;
    }
    this.context.putImageData(pixels, 0, 0);
  }

  /** Change something inside a box (left, top, right, bottom), and remember what was there. */
  _step(box, change) {
    const left = Math.max(0, Math.floor(box[0]));
    const top = Math.max(0, Math.floor(box[1]));
    const width = Math.min(this.width, Math.ceil(box[2])) - left;
    const height = Math.min(this.height, Math.ceil(box[3])) - top;
    if (width <= 0 || height <= 0) return;
    this._undo.push({ left, top, pixels: this.context.getImageData(left, top, width, height) });
    if (this._undo.length > MOST) this._undo.shift();
    this._redo = [];
    change();
    this.changed = true;
    this._told();
  }

  _back(from, to) {
    const step = from.pop();
    if (!step) return;
    const { left, top, pixels } = step;
    to.push({ left, top, pixels: this.context.getImageData(left, top, pixels.width, pixels.height) });
    this.context.putImageData(pixels, left, top);
    this.changed = true;
    this._told();
  }

  _told() {
    this.dispatchEvent(new Event("change"));
  }
}

/** A stroke along points, on any canvas; of a single point, which a canvas does not stroke, a dot. */
export function traced(context, points, size) {
  if (points.every(([x, y]) => x === points[0][0] && y === points[0][1])) {
    context.beginPath();
    context.arc(...points[0], size / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.lineWidth = size;
  context.lineCap = context.lineJoin = "round";
  outlined(context, points).stroke();
}

/** A path along points; returns the context. */
export function outlined(context, points) {
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points.slice(1)) context.lineTo(...point);
  return context;
}

function boxOf(points, margin) {
  const [right, down] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [
    right.reduce((a, b) => Math.min(a, b)) - margin,
    down.reduce((a, b) => Math.min(a, b)) - margin,
    right.reduce((a, b) => Math.max(a, b)) + margin,
    down.reduce((a, b) => Math.max(a, b)) + margin,
  ];
}

/** Fill the unmarked pixels that hang together with one, row by row; its box, or null where they reach the edge. */
function flooded(pixels, column, row) {
  const { width, height, data } = pixels;
  const free = (x, y) => data[4 * (y * width + x) + 3] < 128;
  if (!free(column, row)) return null;
  const box = [column, row, column + 1, row + 1];
  const waiting = [[column, row]];
  while (waiting.length) {
    const [x, y] = waiting.pop();
    if (!free(x, y)) continue;
    let [left, right] = [x, x];
    while (left > 0 && free(left - 1, y)) left -= 1;
    while (right < width - 1 && free(right + 1, y)) right += 1;
    if (left === 0 || right === width - 1 || y === 0 || y === height - 1) return null;
    data.fill(255, 4 * (y * width + left), 4 * (y * width + right + 1));
    box[0] = Math.min(box[0], left);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], right + 1);
    box[3] = Math.max(box[3], y + 1);
    for (const next of [y - 1, y + 1]) {
      for (let place = left; place <= right; place += 1) {
        if (free(place, next) && (place === left || !free(place - 1, next))) waiting.push([place, next]);
      }
    }
  }
  return box;
}
