// What every page does: the colours' button, menus that close, dates in the reader's zone, questions before deeds.

const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

function themeButton(button) {
  const root = document.documentElement;
  const now = () => root.dataset.theme || "auto";
  const show = () => {
    button.textContent = SIGNS[now()];
    button.setAttribute("aria-label", `Colours: ${NAMES[now()]}. Change`);
    button.title = `Colours: ${NAMES[now()]}`;
  };
  button.hidden = false;
  show();
  button.addEventListener("click", () => {
    const next = { auto: "light", light: "dark", dark: "auto" }[now()];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("fallow-theme", next);
    } catch {
      // Chosen for this page only.
    }
    show();
    document.dispatchEvent(new CustomEvent("fallow:theme"));
  });
}

const MOMENT = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = MOMENT.format(new Date(time.dateTime));
  }
}

// <form data-confirm="ID">: the <dialog id="ID"> asks first. Without JavaScript the form is simply sent.
function confirmations(within) {
  for (const form of within.querySelectorAll("form[data-confirm]:not([data-asks])")) {
    form.dataset.asks = "";
    form.addEventListener("submit", (event) => {
      const dialog = document.getElementById(form.dataset.confirm);
      if (!dialog || form.dataset.confirmed !== undefined) return;
      event.preventDefault();
      dialog.returnValue = "";
      dialog.addEventListener(
        "close",
        () => {
          if (dialog.returnValue !== "yes") return;
          form.dataset.confirmed = "";
          form.requestSubmit();
        },
        { once: true },
      );
      dialog.showModal();
    });
  }
}

// <a data-dialog="ID" href="the same question as a page">: opens the dialog instead.
function dialogs() {
  const opened = (event) => {
    const link = event.target.closest?.("[data-dialog]");
    const dialog = link && document.getElementById(link.dataset.dialog);
    if (!dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
    dialog.addEventListener("close", () => document.getElementById(link.id)?.focus(), { once: true });
  };
  document.addEventListener("click", opened);
  document.addEventListener("keydown", (event) => event.key === " " && opened(event));
}

function menus() {
  const open = () => document.querySelectorAll("details[data-menu][open]");
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

function prepare(within) {
  localTimes(within);
  confirmations(within);
}

document.querySelectorAll("[data-theme-toggle]").forEach(themeButton);
menus();
dialogs();
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target));
document.addEventListener("fallow:new", (event) => prepare(event.target));
