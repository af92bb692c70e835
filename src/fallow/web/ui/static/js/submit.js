// /submit: a chosen file goes up at once, in pieces that can be resumed, and its place becomes the input's URI.

const PIECE_BYTES = 8 * 1024 * 1024;
const TRIES = 5;
const FORMATS = { jsonl: "jsonl", ndjson: "jsonl", csv: "csv", parquet: "parquet", txt: "text", text: "text" };

const form = document.querySelector("form[data-submit]");
const chooser = form?.querySelector("input[type=file]");
const bar = form?.querySelector("progress");
const said = form?.querySelector("[data-upload-said]");
let going = null;

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The same file gets the same name, so that an upload that broke off goes on where it was.
function nameOf(file) {
  const safe = file.name.replaceAll(/[^A-Za-z0-9_.-]/g, "_").slice(-80);
  return `page-${file.size.toString(36)}-${Math.floor(file.lastModified).toString(36)}-${safe.replace(/^[^A-Za-z0-9]+/, "") || "input"}`;
}

// One request with its progress, which fetch cannot tell.
function put(url, token, piece, from, total, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("X-CSRF-Token", token);
    if (total > 0) request.setRequestHeader("Content-Range", `bytes ${from}-${from + piece.size - 1}/${total}`);
    request.upload.addEventListener("progress", (event) => onProgress(from + event.loaded));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Error("The connection broke.")));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(piece);
  });
}

function problem(text) {
  try {
    const { message, remedy } = JSON.parse(text).error;
    return `${message} ${remedy}`;
  } catch {
    return "The server did not take it.";
  }
}

async function offsetOf(url, signal) {
  const answer = await fetch(url, { method: "HEAD", signal });
  return answer.ok ? Number(answer.headers.get("upload-offset") ?? 0) : 0;
}

async function upload(file, signal) {
  const url = chooser.dataset.upload + encodeURIComponent(nameOf(file));
  const token = form.elements.csrf.value;
  const show = (sent) => {
    bar.value = file.size ? Math.min(sent / file.size, 1) : 1;
    said.textContent = `${size(sent)} of ${size(file.size)} sent`;
  };
  let from = await offsetOf(url, signal);
  let failures = 0;
  for (;;) {
    let answer = null;
    try {
      answer = await put(url, token, file.slice(from, from + PIECE_BYTES), from, file.size, signal, show);
    } catch (wrong) {
      if (wrong.name === "AbortError") throw wrong;
    }
    if (answer?.status === 201) return JSON.parse(answer.responseText);
    if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 409) throw new Error(problem(answer.responseText));
    if (answer?.status === 202) failures = 0;
    else if (++failures === TRIES) throw new Error(answer ? problem(answer.responseText) : "The connection broke.");
    else await pause(500 * 2 ** failures);
    from = await offsetOf(url, signal);
  }
}

async function chosen() {
  going?.abort();
  const [file] = chooser.files;
  if (!file) return;
  const mine = new AbortController();
  going = mine;
  bar.hidden = false;
  form.querySelector("button.main").disabled = true;
  try {
    const kept = await upload(file, mine.signal);
    form.elements.input_uri.value = kept.uri;
    const kind = FORMATS[file.name.split(".").pop().toLowerCase()];
    if (kind && !form.elements.input_format.value) form.elements.input_format.value = kind;
    if (!form.elements.name.value) form.elements.name.value = file.name.slice(0, 200);
    said.textContent = `${file.name}, ${size(kept.size_bytes)}, is there.`;
    bar.value = 1;
    chooser.value = ""; // its bytes are there, and need not be sent with the form
  } catch (wrong) {
    if (wrong.name !== "AbortError") said.textContent = `${wrong.message} Choose it again to go on.`;
  } finally {
    if (going === mine) {
      going = null;
      form.querySelector("button.main").disabled = false;
    }
  }
}

if (form) {
  chooser.addEventListener("change", chosen);
  form.querySelector("[aria-invalid]")?.focus();
}
