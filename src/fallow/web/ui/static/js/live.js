// Following: an event says only that something changed; what to do about it is the page's. A connection that breaks is
// made again for as long as the page is open, and then the page asks for everything, since it may have missed something.

const PAUSE_MILLISECONDS = 1000;
const WAITS = [1000, 1000, 2000, 4000, 8000, 15000];

// onChange(names) at most once a second. names: null when anything may have changed.
export function follow(url, onChange, onState = () => {}) {
  let source = null;
  let failures = 0;
  let missed = false;
  let changed = new Set();
  let everything = false;
  let timer = null;
  let last = -PAUSE_MILLISECONDS;

  function soon(names) {
    if (names === null) everything = true;
    else for (const name of names) changed.add(name);
    timer ??= setTimeout(fire, Math.max(0, last + PAUSE_MILLISECONDS - performance.now()));
  }

  function fire() {
    const names = everything ? null : [...changed];
    timer = null;
    everything = false;
    changed = new Set();
    last = performance.now();
    onChange(names);
  }

  function connect() {
    source = new EventSource(typeof url === "function" ? url() : url);
    source.addEventListener("open", () => {
      failures = 0;
      onState(true);
      if (missed) soon(null);
      missed = false;
    });
    source.addEventListener("changed", (event) => soon(JSON.parse(event.data).changed));
    source.addEventListener("gone", () => again());
    source.addEventListener("error", () => {
      onState(false);
      missed = true;
      if (source.readyState === EventSource.CLOSED) again();
    });
  }

  // The browser tries again by itself after a broken connection, but gives up on an answer that is no stream.
  async function again() {
    stop();
    missed = true;
    onState(false);
    const wait = WAITS[Math.min(failures++, WAITS.length - 1)];
    if (failures > 2) {
      const answer = await fetch(location.href, { redirect: "manual" }).catch(() => null);
      if (answer && (answer.type === "opaqueredirect" || answer.status === 404)) {
        location.reload();
        return;
      }
    }
    setTimeout(() => source === null && !document.hidden && connect(), wait);
  }

  function stop() {
    source?.close();
    source = null;
  }

  // A page that nobody looks at holds no connection: browsers allow a handful for each server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stop();
      missed = true;
    } else if (source === null) connect();
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && source === null && connect());
  connect();
}

// Says whether the page is live, in words for those who do not see the dot.
export function liveSign(element) {
  return (live) => {
    if (!element) return;
    element.hidden = false;
    element.classList.toggle("away", !live);
    const words = live ? "live" : "reconnecting";
    if (element.textContent !== words) element.textContent = words;
  };
}
