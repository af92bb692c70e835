// A swap for htmx that touches only what differs: rows with an id stay when their data-version is the same, so that
// focus, selections and scroll positions stay too.

function patchRows(before, after) {
  const old = new Map([...before.children].map((row) => [row.id, row]));
  let place = before.firstElementChild;
  for (const row of [...after.children]) {
    let kept = old.get(row.id);
    old.delete(row.id);
    if (kept && kept.dataset.version === row.dataset.version) {
      if (kept === place) place = place.nextElementSibling;
      else before.insertBefore(kept, place);
      continue;
    }
    const focus = kept?.contains(document.activeElement) ? document.activeElement.id : "";
    if (kept) {
      if (kept === place) place = place.nextElementSibling;
      kept.replaceWith(row);
    } else before.insertBefore(row, place);
    row.dispatchEvent(new CustomEvent("fallow:new", { bubbles: true }));
    if (focus) document.getElementById(focus)?.focus();
  }
  for (const row of old.values()) row.remove();
}

function attributes(before, after) {
  for (const name of ["data-seen", "data-events", "hx-get"]) {
    if (after.hasAttribute(name)) before.setAttribute(name, after.getAttribute(name));
  }
}

export function patch(before, after) {
  attributes(before, after);
  const [old, fresh] = [before.querySelector("tbody"), after.querySelector("tbody")];
  if (old && fresh && !before.querySelector(":scope > nav") === !after.querySelector(":scope > nav")) {
    patchRows(old, fresh);
  } else {
    before.replaceChildren(...after.childNodes);
    before.dispatchEvent(new CustomEvent("fallow:new", { bubbles: true }));
  }
}

window.htmx?.defineExtension("keyed", {
  isInlineSwap: (style) => style === "keyed",
  handleSwap(style, target, fragment) {
    if (style !== "keyed") return false;
    const fresh = fragment.firstElementChild;
    if (fresh && fresh.id === target.id) patch(target, fresh);
    return [target];
  },
});
