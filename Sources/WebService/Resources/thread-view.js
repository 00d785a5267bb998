// The open conversation: its lines in the order of their numbers, what was read, and paging upwards.

import { announce, byId, onceAFrame, toast } from "./dom.js";
import { counted, summary } from "./format.js";
import { connectRow, entryRow, fillEntryRow, pendingRow, showMarks } from "./message-row.js";

const history = byId("history");
const entries = byId("entries");
const pending = byId("pending");
const older = byId("older");
const newer = byId("newer");

/** Nearer to the end than this counts as being there. */
const endPixels = 120;
/** Nearer to the beginning than this loads earlier messages. */
const beginningPixels = 400;

export class ThreadView {
  thread = null;

  #store;
  #outbox;
  #onDetails;
  #rows = new Map();
  #shown = new Map();
  #onScreen = new Set();
  #observer;
  #opening = null;
  #loadingOlder = false;

  /** `onDetails(thread, entry)` opens the details of an own message. */
  constructor(store, outbox, onDetails) {
    this.#store = store;
    this.#outbox = outbox;
    this.#onDetails = (entry) => onDetails(this.thread, entry);
    this.#observer = new IntersectionObserver((changes) => this.#seen(changes), { root: history, threshold: [0, 0.5] });
    const update = onceAFrame(() => this.#update());
    store.addEventListener("changed", ({ detail: ids }) => {
      if (ids.has(this.thread?.id)) update();
    });
    outbox.addEventListener("changed", ({ detail: id }) => {
      if (id === this.thread?.id) update();
    });
    store.addEventListener("arrived", ({ detail: arrived }) => this.#announce(arrived));
    document.addEventListener("visibilitychange", () => this.#markRead());
    history.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#stay()).observe(history);
    older.onclick = () => this.#loadOlder();
    newer.onclick = () => this.scrollToEnd();
  }

  /** Shows a conversation; resolves when it is there, with false when it cannot be shown. */
  async open(id) {
    this.close();
    this.#opening = id;
    history.setAttribute("aria-busy", "true");
    try {
      const thread = await this.#store.open(id);
      if (this.#opening !== id) return true;
      this.thread = thread;
      byId("thread-none").hidden = true;
      byId("thread-bar").hidden = history.hidden = false;
      this.#atEnd = true;
      this.#update();
      return true;
    } catch (refusal) {
      if (this.#opening === id) toast(refusal.message);
      return false;
    } finally {
      history.removeAttribute("aria-busy");
    }
  }

  close() {
    this.#opening = null;
    this.thread = null;
    this.#clear();
    pending.replaceChildren();
    byId("thread-none").hidden = false;
    for (const element of [byId("thread-bar"), history, newer, byId("thread-notice"), byId("composer")]) element.hidden = true;
  }

  scrollToEnd() {
    history.scrollTop = history.scrollHeight;
    this.#atEnd = true;
    newer.hidden = true;
  }

  #atEnd = true;

  #clear() {
    this.#observer.disconnect();
    this.#onScreen.clear();
    this.#rows.clear();
    this.#shown.clear();
    entries.replaceChildren();
  }

  /** Brings the page up to date; who reads the end stays there, who reads elsewhere is not moved. */
  #update() {
    const thread = this.thread;
    if (!thread) return;
    this.#renderHead(thread);
    if (!thread.loaded) return this.#clear();
    const heightBelow = history.scrollHeight - history.scrollTop;
    const firstBefore = entries.firstElementChild;
    const added = this.#renderEntries(thread);
    const hasWritten = this.#renderPending();
    older.hidden = !thread.hasOlder;
    if (this.#atEnd || hasWritten) this.scrollToEnd();
    else if (entries.firstElementChild !== firstBefore) history.scrollTop = history.scrollHeight - heightBelow;
    else if (added.some((entry) => entry.author !== thread.me)) newer.hidden = false;
  }

  #renderHead(thread) {
    byId("thread-title").textContent = thread.title;
    byId("thread-people").textContent =
      thread.isGroup || thread.subject
        ? `${counted(thread.participantCount, "person", "people")} · ${thread.others().map(({ name }) => name).slice(0, 12).join(", ")}`
        : "";
    const notice = thread.closed ? "This conversation is closed." : thread.isMember ? "" : "You have left this conversation.";
    byId("thread-notice").textContent = notice;
    byId("thread-notice").hidden = !notice;
    byId("composer").hidden = Boolean(notice);
  }

  /** Brings the lines up to date; answers the entries that were added at the end. */
  #renderEntries(thread) {
    const added = [];
    const end = Number(entries.lastElementChild?.dataset.number ?? 0);
    const missing = [];
    for (const [number, entry] of thread.entries) {
      const row = this.#rows.get(number);
      if (!row) missing.push(entry);
      else if (this.#shown.get(number) !== entry || !row.namesEverybody) this.#refill(row, entry);
      else if (row.classList.contains("mine")) showMarks(row, thread);
    }
    missing.sort((one, other) => one.number - other.number);
    let next = entries.firstElementChild;
    for (const entry of missing) {
      while (next && Number(next.dataset.number) < entry.number) next = next.nextElementSibling;
      const row = entryRow(entry, thread, this.#onDetails);
      this.#rows.set(entry.number, row);
      this.#shown.set(entry.number, entry);
      entries.insertBefore(row, next);
      connectRow(row);
      if (entry.number > end) added.push(entry);
      if (entry.author !== thread.me && entry.number > thread.read) this.#observer.observe(row);
    }
    // A line put between others may have become the one before an existing line.
    for (const entry of missing) {
      const after = this.#rows.get(entry.number).nextElementSibling;
      if (after) connectRow(after);
    }
    return added;
  }

  #refill(row, entry) {
    this.#shown.set(entry.number, entry);
    fillEntryRow(row, entry, this.thread, this.#onDetails);
    connectRow(row);
  }

  /** Shows what waits to be sent; answers whether something new does. */
  #renderPending() {
    const items = this.#outbox.of(this.thread.id);
    const shown = new Map(Array.from(pending.children, (row) => [row.dataset.clientId, row]));
    const isSame = (row, item) => row && (row.dataset.failed ?? "") === (item.failed ?? "");
    const rows = items.map((item) => {
      const row = shown.get(item.clientId);
      return isSame(row, item) ? row : pendingRow(item, this.#outbox);
    });
    pending.replaceChildren(...rows);
    return items.some((item) => !shown.has(item.clientId));
  }

  #scrolled() {
    this.#atEnd = history.scrollHeight - history.scrollTop - history.clientHeight < endPixels;
    if (this.#atEnd) newer.hidden = true;
    if (history.scrollTop < beginningPixels) this.#loadOlder();
  }

  /** When the keyboard of a phone appears, the end stays in sight. */
  #stay() {
    if (this.thread && this.#atEnd) history.scrollTop = history.scrollHeight;
  }

  async #loadOlder() {
    if (this.#loadingOlder || !this.thread?.hasOlder) return;
    this.#loadingOlder = true;
    older.textContent = "Loading…";
    try {
      await this.#store.loadOlder(this.thread.id);
    } catch (refusal) {
      toast(refusal.message);
    } finally {
      this.#loadingOlder = false;
      older.textContent = "Show earlier messages";
    }
  }

  /** A message counts as seen when half of it is on screen, or as much of it as the screen can hold. */
  #seen(changes) {
    for (const { target, intersectionRatio, intersectionRect, rootBounds } of changes) {
      const fillsScreen = rootBounds && intersectionRect.height >= rootBounds.height / 2;
      if (intersectionRatio >= 0.5 || fillsScreen) this.#onScreen.add(target);
      else this.#onScreen.delete(target);
    }
    this.#markRead();
  }

  /** Read means: a person can see it now, in a window that is visible. */
  #markRead() {
    if (!this.thread || document.visibilityState !== "visible") return;
    let number = 0;
    for (const row of this.#onScreen) {
      number = Math.max(number, Number(row.dataset.number));
      this.#observer.unobserve(row);
    }
    this.#onScreen.clear();
    if (number > 0) this.#store.markRead(this.thread.id, number);
  }

  #announce(arrived) {
    const { thread, entry } = arrived.at(-1);
    const more = arrived.length > 1 ? `${arrived.length} new messages. ` : "";
    const urgent = entry.priority === "urgent" ? "Urgent. " : "";
    const where = thread === this.thread ? "" : ` in ${thread.title}`;
    announce(`${more}${urgent}${thread.nameOf(entry.author)}${where}: ${summary(entry, thread)}`);
  }
}
