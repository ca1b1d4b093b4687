/** What every page does: times as they are here, and questions before something is lost. */

for (const moment of document.querySelectorAll("time[datetime]")) {
  const at = new Date(moment.dateTime);
  moment.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const wide of document.querySelectorAll("[data-end]")) wide.scrollLeft = wide.scrollWidth; // today is last
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  });
}
for (const field of document.querySelectorAll("input[data-remember]")) {
  field.value ||= localStorage.getItem(field.dataset.remember) ?? "";
  field.addEventListener("change", () => localStorage.setItem(field.dataset.remember, field.value));
}
