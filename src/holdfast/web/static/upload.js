// Uploads: sends the chosen file in parts, goes on where it broke off, then sends the form.
const PARTS = 4 << 20;
const TRIES = 6;

for (const field of document.querySelectorAll("[data-upload]")) {
  const form = field.closest("form");
  const [file_input] = field.getElementsByTagName("input");
  const [bar] = field.getElementsByTagName("progress");
  const [status] = field.getElementsByTagName("output");
  const url = field.dataset.upload;
  const csrf = form.elements.csrf.value;
  field.hidden = false;

  const ask = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, { method, body, headers: { "x-csrf-token": csrf, ...headers }, redirect: "manual" });
    if (!response.headers.get("content-type")?.startsWith("application/json")) throw new Refused("your session has ended: sign in in another tab, then go on here", response.status);
    const answer = await response.json();
    if (!response.ok) throw new Refused(answer.message, response.status);
    return answer;
  };
  class Refused extends Error {
    constructor(message, code) { super(message); this.code = code; }
  }

  // the upload that this file was begun with in this tab, or a new one
  const begin = async (file) => {
    const name = `upload ${url} ${file.name} ${file.size} ${file.lastModified}`;
    const known = sessionStorage.getItem(name);
    if (known) {
      try { return await ask("GET", `/${known}`); } catch (error) { if (error.code !== 404) throw error; }
    }
    const upload = await ask("POST", "", new URLSearchParams({ csrf, size: file.size }));
    sessionStorage.setItem(name, upload.id);
    return upload;
  };

  const send = async (file) => {
    let upload = await begin(file);
    let failures = 0;
    while (upload.received < file.size) {
      const offset = upload.received;
      bar.value = offset / file.size;
      status.textContent = `${Math.floor(100 * offset / file.size)} % of ${file.name} was sent`;
      try {
        const part = file.slice(offset, offset + Math.min(PARTS, upload.partSize));
        upload = await ask("PUT", `/${upload.id}/content?offset=${offset}`, part, { "content-type": "application/octet-stream" });
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures >= TRIES || (error.code >= 400 && error.code < 500 && error.code !== 409 && error.code !== 429)) throw error;
        status.textContent = `${error.message}; trying again`;
        await new Promise((wake) => setTimeout(wake, 500 * 2 ** failures));
        upload = await ask("GET", `/${upload.id}`).catch(() => upload);
      }
    }
    bar.value = 1;
    return upload.id;
  };

  form.addEventListener("submit", async (event) => {
    const [file] = file_input.files;
    if (!file || form.elements.uploadId.value) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = form.querySelector("button.main");
    button.disabled = true;
    bar.hidden = false;
    try {
      form.elements.uploadId.value = await send(file);
      status.textContent = `${file.name} was sent`;
      form.requestSubmit();
    } catch (error) {
      status.textContent = `It was not sent to its end: ${error.message}. Press Import to go on.`;
    } finally {
      button.disabled = false;
    }
  });
  file_input.addEventListener("change", () => { form.elements.uploadId.value = ""; status.textContent = ""; bar.hidden = true; });
}
