/** The images that somebody selected, over all pages of the grid, until this tab is closed. */

const KEY = "selected images";
const kept = sessionStorage.getItem(KEY);

export const selection = new Set(kept ? kept.split(" ") : []);

/** Keep what is selected now. */
export function keep() {
  if (selection.size) sessionStorage.setItem(KEY, [...selection].join(" "));
  else sessionStorage.removeItem(KEY);
}
