// Before the page is painted: the colours that the reader chose here, if they are not the system's.
(function () {
  "use strict";
  let chosen = null;
  try {
    chosen = localStorage.getItem("fallow-theme");
  } catch {
    // A browser that keeps nothing shows the system's colours.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  document.documentElement.classList.add("js");
})();
