// Logs of running attempts: <pre data-follow="URL" data-next="BYTES">. What is new is asked for and put behind what is
// shown; who reads further up is left there. When the attempt is over, `onOver` shows the whole.

const EVERY_MILLISECONDS = 2000;
const CHARACTERS_MAX = 256 * 1024;
const NEAR_PIXELS = 24;

export function followLogs(panel, onOver) {
  const readers = new WeakMap(); // an element -> what of its text is known
  const places = new Map(); // an element's id -> where somebody scrolled to; null: the end

  function readerOf(pre) {
    if (!readers.has(pre)) {
      readers.set(pre, { next: Number(pre.dataset.next), decoder: new TextDecoder(), busy: false });
      pre.addEventListener("scroll", () => places.set(pre.id, atEnd(pre) ? null : pre.scrollTop));
      pre.scrollTop = places.get(pre.id) ?? pre.scrollHeight;
    }
    return readers.get(pre);
  }

  async function ask(pre, reader) {
    const answer = await fetch(`${pre.dataset.follow}&after=${reader.next}`).catch(() => null);
    if (!answer?.ok) return;
    const bytes = await answer.arrayBuffer().catch(() => null);
    if (!bytes || !pre.isConnected) return;
    const start = Number(answer.headers.get("x-fallow-start"));
    if (bytes.byteLength) {
      const missing = start > reader.next ? `\n[${start - reader.next} bytes are not shown here]\n` : "";
      append(pre, missing + reader.decoder.decode(bytes, { stream: true }));
    }
    reader.next = Number(answer.headers.get("x-fallow-next"));
    if (answer.headers.get("x-fallow-over") === "true") onOver();
  }

  async function look() {
    if (document.hidden) return;
    for (const pre of panel.querySelectorAll("pre[data-follow]")) {
      if (!pre.closest("details").open) continue;
      const reader = readerOf(pre);
      pre.closest("details").querySelector("[data-log-live]").hidden = false;
      if (reader.busy) continue;
      reader.busy = true;
      ask(pre, reader).finally(() => (reader.busy = false));
    }
  }

  setInterval(look, EVERY_MILLISECONDS);
  return look;
}

function atEnd(pre) {
  return pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR_PIXELS;
}

function append(pre, text) {
  const follows = pre.hidden || atEnd(pre);
  const whole = pre.textContent + text;
  pre.textContent = whole.length > CHARACTERS_MAX ? whole.slice(whole.indexOf("\n", whole.length - CHARACTERS_MAX) + 1) : whole;
  pre.hidden = false;
  if (follows) pre.scrollTop = pre.scrollHeight;
}
