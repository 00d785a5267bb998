// Small helpers that build the page. Text only ever becomes text: nothing here parses HTML.

const svgNamespace = "http://www.w3.org/2000/svg";

/** The element of index.html with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Makes an element. `properties` are DOM properties, except `class`, `data` (an object), `aria` (an object),
 * `on` (event handlers) and `role`; children are nodes or strings, and `null` is left out.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "role") element.setAttribute("role", value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "aria") for (const key in value) element.setAttribute(`aria-${key}`, value[key]);
    else if (name === "on") for (const key in value) element.addEventListener(key, value[key]);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A symbol of the sprite in index.html, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(svgNamespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svgNamespace, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A round picture with a person's initials; the tone follows from the id, so it is the same everywhere. */
export function avatar(name, id, isGroup = false) {
  const tone = Number(BigInt(id || 0) % 8n);
  const content = isGroup ? icon("people") : initials(name);
  return make("span", { class: `avatar tone-${tone}`, aria: { hidden: "true" } }, content);
}

/** Of the name proper: titles before it ("Dr.") and letters after it (", RN") do not count. */
function initials(name) {
  const all = name.split(",")[0].trim().split(/\s+/).filter(Boolean);
  const proper = all.filter((word, index) => !word.endsWith(".") || index === all.length - 1);
  const words = proper.length > 0 ? proper : all;
  const chosen = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return chosen.map((word) => Array.from(word)[0].toLocaleUpperCase()).join("") || "?";
}

/** How long a change may wait where no frame is drawn, as in a tab in the background. */
const hiddenFrameMilliseconds = 200;

/** A function that does `work` once with the next frame, however often it is called until then. */
export function onceAFrame(work) {
  let frame = 0;
  let timer = 0;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = timer = 0;
    work();
  };
  return () => {
    if (timer) return;
    timer = setTimeout(run, hiddenFrameMilliseconds);
    frame = requestAnimationFrame(run);
  };
}

/** Runs `work` once after `milliseconds` without another call. */
export function debounced(milliseconds, work) {
  let timer = 0;
  return (...parameters) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...parameters), milliseconds);
  };
}

const announcer = byId("announcer");

/** Says a sentence to screen readers, politely. */
export function announce(sentence) {
  announcer.textContent = sentence;
}

let toastTimer = 0;

/** Shows a sentence at the bottom of the page for a while; screen readers hear it too. */
export function toast(sentence) {
  const element = byId("toast");
  element.textContent = sentence;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.hidden = true), 6000);
}
