// Small things only; every page works without it, but for live news and copying.
const $ = (selector, from = document) => from.querySelector(selector);
const root = document.documentElement;

// The one way by which text becomes HTML: htmx, with answers of ours, which has no scripts.
if (globalThis.trustedTypes) {
  trustedTypes.createPolicy("default", {
    createHTML: (text) => (/<script/i.test(text) ? "" : text),
  });
}

const remember = (name, value) => {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
};

// light or dark: what the system says until the person says otherwise
$("[data-theme-switch]")?.addEventListener("click", (event) => {
  event.preventDefault();
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("theme", root.dataset.theme);
});

// typed confirmation: the button sleeps until the word is right (the server asks again)
const typed = $("[data-must]");
if (typed) {
  const judge = () => { $("button", typed.form).disabled = typed.value.trim() !== typed.dataset.must; };
  judge();
  typed.addEventListener("input", judge);
}

// copy a command
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = $("code", button.parentElement);
  try { await navigator.clipboard.writeText(code.textContent); } catch { getSelection().selectAllChildren(code); }
  button.setAttribute("aria-label", "Copied");
});

// a form is sent once
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post" || event.defaultPrevented) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });

// a select that filters goes there at once; without this there is a button
for (const form of document.querySelectorAll("form[data-filter]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// keys: / finds; g then o, p, r, d goes; j and k walk the tiles and rows; ? lists them
const pages = { o: "/", p: "/proof", r: "/retention", d: "/places" };
const dialog = $("#keys");
let going = 0;
document.addEventListener("keydown", (event) => {
  if (root.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
  if (event.key === "/") { event.preventDefault(); $("#q")?.focus(); return; }
  if (event.key === "?") { dialog?.showModal(); return; }
  if (event.key === "g") { going = Date.now(); return; }
  if (Date.now() - going < 900 && pages[event.key]) location.href = pages[event.key];
  if (event.key === "j" || event.key === "k") {
    const stops = [...document.querySelectorAll(".tile, .tbl tbody tr a:first-of-type, .todo .name")];
    const at = stops.indexOf(document.activeElement);
    stops[Math.max(0, Math.min(stops.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
  }
});
dialog?.addEventListener("close", () => {
  if (dialog.returnValue === "off") { root.dataset.keys = "off"; remember("keys", "off"); }
});

// the clock goes on from the server's time
const clock = $("[data-clock]");
const pulse = $("#pulse") ?? document.createElement("i"); // pages of set-up have none
const began = performance.now();
const start = clock ? Date.parse(clock.dateTime) : 0;
let heard = performance.now();
const silent_ms = 40_000;
const tick = () => {
  const quiet = performance.now() - heard;
  if (pulse.dataset.state !== "still" && quiet > silent_ms) {
    pulse.dataset.state = "silent";
    clock.textContent = `no news for ${Math.round(quiet / 1000)} s`;
    return;
  }
  clock.textContent = `${new Date(start + performance.now() - began).toISOString().slice(11, 19)} UTC`;
};
if (clock) setInterval(tick, 1000);

// live: one stream of hints a page; each names what changed, and the parts about it are asked for
// again. A hidden page has none: browsers open six connections to a host and no more.
const of = document.body.dataset.liveOf;
let stream = null;
const refresh = (topic) => {
  for (const part of document.querySelectorAll("[data-live]")) {
    const topics = part.dataset.live.split(" ");
    if (topic.startsWith("rate/") && part.querySelector("details[open]")) continue; // it is being read
    if (topic === "all" || topics.includes(topic) || topics.includes("all")) globalThis.htmx?.trigger(part, "news");
  }
};
// the number of open alarms: in the title, in the icon, and beside its entry
const ring = async () => {
  const response = await fetch("/alarms/count", { redirect: "manual" });
  if (!response.ok) return;
  const { count, icon } = await response.json();
  document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  $("link[rel=icon]").href = icon;
  const entry = $(".side a[href='/alarms']");
  $(".count", entry)?.remove();
  if (!count) return;
  const badge = document.createElement("span");
  const word = document.createElement("span");
  badge.className = "count b";
  word.className = "vh";
  word.textContent = " open";
  badge.append(count, word);
  entry.append(badge);
};
const sizes = ["B", "kB", "MB", "GB", "TB"];
const size = (count) => {
  let unit = 0;
  while (count >= 1000 && unit < 4) { count /= 1000; unit += 1; }
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)}\u00a0${sizes[unit]}`;
};
const last = new Map();
// how far one operation is: its bars, its percent, and the rate since the last time
const show = ({ op, bytes, expected }) => {
  const now = performance.now();
  const before = last.get(op);
  last.set(op, { bytes, now });
  const rate = before && now > before.now ? Math.max(0, (bytes - before.bytes) / (now - before.now) * 1000) : null;
  for (const part of document.querySelectorAll(`[data-op="${CSS.escape(op)}"]`)) {
    if (part.localName === "progress") { if (expected) part.value = Math.min(99, Math.floor(100 * bytes / expected)); continue; }
    if (part.dataset.show === "percent" && expected) part.textContent = `${Math.min(99, Math.floor(100 * bytes / expected))}\u00a0%`;
    if (part.dataset.show === "bytes") part.textContent = expected ? `${size(bytes)} of ${size(expected)}` : size(bytes);
    if (part.dataset.show === "rate" && rate !== null) part.textContent = `${size(rate)}/s`;
  }
};
const hear = () => { heard = performance.now(); pulse.dataset.state = "live"; };
const listen = () => {
  if (!of || stream || document.hidden) return;
  stream = new EventSource(`/live?of=${encodeURIComponent(of)}`);
  stream.addEventListener("open", hear);
  stream.addEventListener("ping", hear);
  stream.addEventListener("changed", (event) => { hear(); for (const topic of event.data.split(" ")) topic === "bell" ? ring() : refresh(topic); });
  stream.addEventListener("progress", (event) => { hear(); show(JSON.parse(event.data)); });
  stream.addEventListener("bye", () => { location.reload(); });
};
const hush = () => { stream?.close(); stream = null; };
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return hush();
  if (of) { listen(); refresh("all"); ring(); }
});
addEventListener("pagehide", hush);
addEventListener("DOMContentLoaded", listen);
if (of) setInterval(() => { if (!document.hidden && pulse.dataset.state === "silent") { hush(); listen(); refresh("all"); } }, 30_000);

// logs: lines as they come, after the last one that is shown
for (const log of document.querySelectorAll("[data-log]")) {
  let at_end = true;
  log.addEventListener("scroll", () => { at_end = log.scrollHeight - log.scrollTop - log.clientHeight < 24; });
  log.scrollTop = log.scrollHeight;
  const lines = new EventSource(`${log.dataset.log}${log.dataset.log.includes("?") ? "&" : "?"}after=${log.dataset.last || 0}`);
  lines.addEventListener("line", (event) => {
    const line = JSON.parse(event.data);
    const time = document.createElement("span");
    time.textContent = line.at;
    log.append(time, `${line.text}\n`);
    if (at_end) log.scrollTop = log.scrollHeight;
  });
  lines.addEventListener("end", () => lines.close());
  addEventListener("pagehide", () => lines.close());
}
