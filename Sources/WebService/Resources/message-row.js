// One line of a conversation: a message, an event, or a message that waits to be sent.

import { icon, make } from "./dom.js";
import { beginning, byteCount, clock, counted, dayKey, dayName, eventSentence } from "./format.js";

/** Longer texts start collapsed: in UTF-16 units and in lines. */
const collapsedUnits = 1_500;
const collapsedLines = 24;

/** A line for an entry of the log. `onDetails(entry)` opens its details. */
export function entryRow(entry, thread, onDetails) {
  const row = make("li", { data: { number: entry.number, day: dayKey(entry.at), author: entry.author ?? "" } });
  fillEntryRow(row, entry, thread, onDetails);
  return row;
}

/** Builds the line's content anew, as after a recall; `namesEverybody` says whether all its names were known. */
export function fillEntryRow(row, entry, thread, onDetails) {
  row.dataset.kind = entry.kind;
  row.at = entry.at;
  row.namesEverybody = [entry.author, entry.user, ...(entry.users ?? [])].every((user) => !user || thread.people.has(user));
  if (entry.kind === "message" || entry.kind === "recalled-message") {
    const mine = entry.author === thread.me;
    row.className = classes("message", mine && "mine", entry.priority === "urgent" && "urgent");
    fillBelowLabels(row, messageBubble(entry, thread, mine, onDetails));
    if (mine && entry.kind === "message") showMarks(row, thread);
    return;
  }
  row.className = "event";
  const sentence = entry.kind === "recalled" ? "" : eventSentence(entry, thread);
  row.hidden = !sentence;
  fillBelowLabels(row, make("p", { class: "small quiet", dir: "auto" }, sentence));
}

/** Replaces a line's content; the day and the count above it stay. */
function fillBelowLabels(row, content) {
  row.replaceChildren(...row.querySelectorAll(":scope > .day, :scope > .new-line"), content);
}

/** A line for a message of the outbox. */
export function pendingRow(item, actions) {
  const meta = item.failed
    ? make(
        "p",
        { class: "meta failed" },
        icon("failed"),
        make("span", {}, `Not sent. ${item.failed}`),
        make("button", { class: "link", type: "button", on: { click: () => actions.edit(item) } }, "Edit"),
        make("button", { class: "link", type: "button", on: { click: () => actions.retry(item.clientId) } }, "Try again"),
        make("button", { class: "link", type: "button", on: { click: () => actions.discard(item.clientId) } }, "Delete"),
      )
    : make("p", { class: "meta" }, icon("clock"), make("span", {}, "Sending…"));
  const bubble = make("div", { class: "bubble" }, urgentLabel(item), textBlock(item.text), meta);
  return make("li", {
    class: classes("message mine pending", item.priority === "urgent" && "urgent"),
    data: { clientId: item.clientId, kind: "pending", failed: item.failed ?? "" },
  }, bubble);
}

/** Says above a line how many new ones begin with it; null takes the words away again. */
export function showNewAbove(row, count) {
  const line = row.querySelector(":scope > .new-line");
  if (count === null) return line?.remove();
  const words = counted(count, "new message", "new messages");
  if (line) return void (line.firstElementChild.textContent = words);
  const element = make("p", { class: "new-line small", role: "separator" }, make("span", {}, words));
  row.insertBefore(element, row.querySelector(":scope > .day")?.nextSibling ?? row.firstChild);
}

/** Shows how far an own message got: Sent, Delivered or Read, with counts where there are several people. */
export function showMarks(row, thread) {
  const button = row.querySelector(".mark");
  if (!button) return;
  const { people, delivered, read } = thread.marks(Number(row.dataset.number));
  const state = people > 0 && read === people ? "read" : people > 0 && delivered === people ? "delivered" : "sent";
  const words = { read: "Read", delivered: "Delivered", sent: "Sent" }[state];
  const partly = people > 1 && state !== "read" && read > 0 ? `Read by ${read} of ${people}` : null;
  const label = partly ?? words;
  if (row.dataset.marks === label && row.dataset.mark === state) return;
  row.dataset.mark = state;
  row.dataset.marks = label;
  button.replaceChildren(icon(state === "sent" ? "sent" : "delivered"), label);
  button.setAttribute("aria-label", `${label}. Details`);
}

/** Shows the day above a line that begins one, and the author where the author changes. */
export function connectRow(row) {
  const before = previousVisible(row);
  const newDay = before?.dataset.day !== row.dataset.day;
  const follows = !newDay && row.dataset.author === before?.dataset.author && isMessage(before) && isMessage(row);
  row.classList.toggle("follows", follows);
  const label = row.querySelector(":scope > .day");
  if (newDay && !label) row.prepend(make("p", { class: "day small quiet" }, dayName(row.at)));
  if (!newDay && label) label.remove();
}

const isMessage = (row) => row.classList.contains("message");

function previousVisible(row) {
  let before = row.previousElementSibling;
  while (before?.hidden) before = before.previousElementSibling;
  return before;
}

function messageBubble(entry, thread, mine, onDetails) {
  const recalled = entry.kind === "recalled-message";
  const details = { class: "mark", type: "button", on: { click: () => onDetails(entry) } };
  return make(
    "div",
    { class: "bubble" },
    mine || !thread.isGroup ? make("p", { class: "unseen" }, `${thread.nameOf(entry.author)}:`) : authorName(entry, thread),
    urgentLabel(entry),
    recalled ? make("p", { class: "text quiet taken-back" }, "Message taken back") : textBlock(entry.text),
    make(
      "p",
      { class: "meta" },
      make("time", { dateTime: new Date(entry.at).toISOString() }, clock(entry.at)),
      mine && !recalled ? make("button", details) : null,
    ),
  );
}

function authorName(entry, thread) {
  return make("p", { class: "author small", dir: "auto" }, thread.nameOf(entry.author));
}

function urgentLabel({ priority }) {
  return priority === "urgent" ? make("p", { class: "urgent-label small" }, icon("urgent"), "Urgent") : null;
}

/** The text itself; a long one begins collapsed and keeps the rest out of the page until it is asked for. */
function textBlock(text) {
  const start = collapsedText(text);
  const block = make("div", { class: "text", dir: "auto" }, start ?? text);
  if (start === null) return block;
  const size = byteCount(text);
  const label = size < 1024 ? counted(size, "byte", "bytes") : `${Math.round(size / 1024)} KB`;
  const button = make("button", { class: "link show-all", type: "button", aria: { expanded: "false" } }, `Show all (${label})`);
  button.onclick = () => {
    const expand = button.getAttribute("aria-expanded") === "false";
    block.textContent = expand ? text : start;
    button.textContent = expand ? "Show less" : `Show all (${label})`;
    button.setAttribute("aria-expanded", String(expand));
  };
  return make("div", {}, block, button);
}

/** The beginning to show, or null when the text is short enough as it is. */
function collapsedText(text) {
  const lines = text.split("\n", collapsedLines + 1);
  if (text.length <= collapsedUnits && lines.length <= collapsedLines) return null;
  const firstLines = lines.slice(0, collapsedLines).join("\n");
  const start = beginning(firstLines, collapsedUnits);
  return start.endsWith("…") ? start : `${start}\n…`;
}

function classes(...names) {
  return names.filter(Boolean).join(" ");
}
