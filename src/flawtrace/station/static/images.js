/** The grid: files and folders that are dropped, several labels at once, keys. */

import { element } from "./draw.js";
import { keep, selection } from "./selection.js";
import { writing } from "./view.js";

const AT_ONCE = 3; // uploads side by side
const FEW = 12; // files per request, so that one that fails can be told apart soon
const MOST_BYTES = 100e6; // per request, unless a single file has more

const list = document.querySelector("[data-uploads]");
const drop = document.querySelector("[data-drop]");
const summary = document.querySelector("[data-summary]");

// What was said before this page was loaded anew
if (sessionStorage.getItem("added")) {
  document.querySelector("[data-progress]").hidden = false;
  summary.textContent = sessionStorage.getItem("added");
  sessionStorage.removeItem("added");
}

// Files
for (const field of drop.querySelectorAll("input[type=file]")) {
  field.addEventListener("change", () => {
    const whole = field.hasAttribute("webkitdirectory");
    send([...field.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })), whole);
  });
}
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") dropped(event.dataTransfer.items);
  });
}

async function dropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = (await Promise.all(entries.map((entry) => walked(entry)))).flat();
  await send(files, entries.some((entry) => entry.isDirectory));
}

/** The files of a dropped file or folder, with their paths in it. */
async function walked(entry, path = "") {
  const here = `${path}${entry.name}`;
  if (entry.isFile) return [{ file: await new Promise((done, failed) => entry.file(done, failed)), path: here }];
  const reader = entry.createReader();
  const inside = [];
  for (let some; (some = await new Promise((done, failed) => reader.readEntries(done, failed))).length; ) inside.push(...some);
  return (await Promise.all(inside.map((one) => walked(one, `${here}/`)))).flat();
}

/** Send files a few at a time. Those of a folder wait there until all are there, as folders tell labels. */
async function send(files, whole) {
  if (!files.length) return;
  document.querySelector("[data-progress]").hidden = false;
  const batch = whole ? crypto.randomUUID() : null;
  const parts = parted(files);
  const tally = { waiting: files.length, sent: 0, added: 0, known: 0, refused: 0 };
  const show = () => {
    const said = [
      tally.waiting && `${tally.waiting} to send`, tally.sent && `${tally.sent} sent`, tally.added && `${tally.added} added`,
      tally.known && `here already: ${tally.known}`, tally.refused && `${tally.refused} refused`,
    ];
    summary.textContent = said.filter(Boolean).join(", ");
  };
  const told = (results) => {
    for (const one of results) {
      tally[one.state] += 1;
      if (one.message) remarked(one);
    }
  };
  show();
  const queue = [...parts];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let part; (part = queue.shift()); ) {
      const results = await posted(part, batch);
      tally.waiting -= part.length;
      if (results) {
        told(results);
        if (batch && !results.length) tally.sent += part.length;
      } else {
        failed(part, batch);
      }
      show();
    }
  }));
  if (batch) {
    const answer = await fetch(`/images/batches/${batch}`, { method: "POST" });
    tally.sent = 0;
    told(await answer.json());
    show();
  }
  page.dataset.sent = String(Number(page.dataset.sent ?? 0) + 1);
  if (!tally.added) return;
  if (tally.refused || list.children.length) {
    summary.append(". ", element("a", { href: "/images" }, "Show what was added"));
  } else {
    sessionStorage.setItem("added", summary.textContent);
    location.assign("/images");
  }
}

/** Files in groups that one request can take. */
function parted(files) {
  const parts = [];
  let bytes = Infinity;
  for (const one of files) {
    if (bytes + one.file.size > MOST_BYTES || parts.at(-1).length === FEW) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1).push(one);
    bytes += one.file.size;
  }
  return parts;
}

async function posted(part, batch) {
  const form = new FormData();
  for (const { file, path } of part) form.append("files", file, path);
  try {
    const answer = await fetch(batch ? `/images?batch=${batch}` : "/images", { method: "POST", body: form });
    if (answer.ok) return await answer.json();
    const { detail } = await answer.json();
    return part.map(({ path }) => ({ name: path, state: "refused", message: detail }));
  } catch {
    return null;
  }
}

function remarked({ name, message }) {
  list.append(element("li", {}, element("b", {}, name), ` ${message}`));
}

/** The connection broke: say so, and offer to send these again. */
function failed(part, batch) {
  const again = element("button", { type: "button" }, "Send again");
  const item = element("li", {}, element("b", {}, `${part.length} files`), " could not be sent: is the station still running? ", again);
  again.addEventListener("click", () => {
    item.remove();
    send(part, Boolean(batch));
  });
  list.append(item);
}

// The selection, which lasts over pages and filters
const page = document.querySelector("[data-grid]");
const bar = document.querySelector("[data-selection]");
const boxes = [...page.querySelectorAll("input[name=image]")];
let last = null;

page.addEventListener("click", (event) => {
  const box = event.target.closest("input[name=image]");
  if (!box) return;
  if (event.shiftKey && last) {
    const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
    for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
  }
  last = box;
  for (const one of boxes) selection[one.checked ? "add" : "delete"](one.value);
  selected();
});

function select(images) {
  for (const image of images) selection.add(image);
  selected();
}

function selectNone() {
  selection.clear();
  selected();
}

function selected() {
  keep();
  for (const box of boxes) box.checked = selection.has(box.value);
  const elsewhere = selection.size - boxes.filter((box) => box.checked).length;
  bar.hidden = selection.size === 0;
  bar.querySelector("[data-count]").textContent = `${selection.size} selected${elsewhere ? `, ${elsewhere} of them not on this page` : ""}`;
}
bar.querySelector("[data-select-all]")?.addEventListener("click", async () => {
  const { show, find } = page.dataset;
  const answer = await fetch(`/images/hashes?${new URLSearchParams({ show, find })}`);
  if (answer.ok) select(await answer.json());
});
bar.querySelector("[data-select-none]").addEventListener("click", selectNone);
selected();

// Labels

for (const button of document.querySelectorAll("[data-label]")) {
  button.addEventListener("click", async () => {
    const labels = { images: [...selection], kind: button.dataset.label, defect_type: bar.querySelector("[name=defect_type]").value || null };
    const answer = await fetch("/images/labels", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(labels) });
    if (answer.ok) {
      selectNone();
      location.reload();
    } else bar.querySelector("[data-count]").textContent = (await answer.json()).detail;
  });
}
document.querySelector("[data-look-at-all]")?.addEventListener("click", async (event) => {
  const answer = await fetch("/images/look", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ show: event.target.dataset.lookAtAll }) });
  if (answer.ok) location.assign(`/jobs/${(await answer.json()).job}`);
});

page.dataset.ready = "yes";

// Keys
document.addEventListener("keydown", (event) => {
  if (writing(event) || event.ctrlKey || event.metaKey) return;
  const cards = [...page.querySelectorAll("a.card")];
  const here = cards.indexOf(document.activeElement);
  const perRow = cards.filter((card) => card.parentElement.offsetTop === cards[0]?.parentElement.offsetTop).length || 1;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow };
  if (steps[event.key] !== undefined && cards.length) {
    event.preventDefault();
    cards[Math.min(cards.length - 1, Math.max(0, here + steps[event.key]))].focus();
  } else if (event.key === " " && here >= 0) {
    event.preventDefault();
    cards[here].parentElement.querySelector("input[name=image]").click();
  } else if (event.key === "a") {
    select(boxes.map((box) => box.value));
  } else if (event.key === "Escape") {
    selectNone();
  } else if (event.key === "/") {
    event.preventDefault();
    document.querySelector("input[name=find]").focus();
  } else if ((event.key === "o" || event.key === "x") && selection.size) {
    document.querySelector(`[data-label=${event.key === "o" ? "normal" : "defect"}]`).click();
  }
});
