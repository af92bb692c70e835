// The style sheet's colours as a canvas needs them: resolved for the scheme that the reader sees now.

let probe = null;

export function colour(name) {
  if (!probe) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

export function onScheme(changed) {
  document.addEventListener("fallow:theme", changed);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
