// The open conversation: its lines in the order of their numbers, from the first unread one on, and paging upwards.

import { announce, byId, onceAFrame, toast } from "./dom.js";
import { counted, summary } from "./format.js";
import { JumpButton } from "./jump-button.js";
import { connectRow, entryRow, fillEntryRow, pendingRow, showMarks, showNewAbove } from "./message-row.js";
import { isInFront, Reading } from "./reading.js";

const history = byId("history");
const entries = byId("entries");
const pending = byId("pending");
const older = byId("older");
const newer = byId("newer");

/** Nearer to the end than this counts as being there. */
const endPixels = 120;
/** Nearer to the beginning than this loads earlier messages. */
const beginningPixels = 400;
/** Where a line to which the person is taken comes to stand: this part of the screen below its top, at most so far. */
const landingPart = 0.15;
const landingPixels = 96;

export class ThreadView {
  thread = null;

  #store;
  #outbox;
  #onDetails;
  #pendingActions;
  #rows = new Map();
  #shown = new Map();
  #reading = new Reading(history, (numbers) => this.#seen(numbers));
  #jump = new JumpButton(history, this.#rows, (number) => this.#goTo(number));
  /** The number of the first line that was unread when the person came here; null: none was. */
  #firstNew = null;
  #newRow = null;
  #opening = null;
  #loadingOlder = false;
  /** The place at which this page put the conversation: scrolling there is nobody's wish to see more. */
  #ownScrollTop = null;

  /** `details(thread, entry)` opens the details of an own message; `edit(item)` takes one that was not sent for writing. */
  constructor(store, outbox, { details, edit }) {
    this.#store = store;
    this.#outbox = outbox;
    this.#onDetails = (entry) => details(this.thread, entry);
    this.#pendingActions = {
      edit,
      retry: (clientId) => outbox.retry(clientId),
      discard: (clientId) => outbox.discard(clientId),
    };
    const update = onceAFrame(() => this.#update());
    store.addEventListener("changed", ({ detail: ids }) => {
      if (ids.has(this.thread?.id)) update();
    });
    outbox.addEventListener("changed", ({ detail: id }) => {
      if (id === this.thread?.id) update();
    });
    store.addEventListener("arrived", ({ detail: arrived }) => this.#announce(arrived));
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
      this.#firstNew = this.#firstUnread();
      this.#update();
      if (this.#firstNew !== null) this.#land(this.#firstNew);
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
    this.#firstNew = null;
    this.#clear();
    pending.replaceChildren();
    byId("thread-none").hidden = false;
    for (const element of [byId("thread-bar"), history, newer, byId("thread-notice"), byId("composer")]) element.hidden = true;
    this.#jump.hide();
  }

  scrollToEnd() {
    this.#scrollTo(history.scrollHeight);
    this.#atEnd = true;
    newer.hidden = true;
  }

  #scrollTo(top) {
    history.scrollTop = top;
    this.#ownScrollTop = history.scrollTop;
    this.#showJump();
  }

  /** Puts a line near the top of the screen, or the end at the bottom where it is nearer. */
  #land(number) {
    const row = this.#rowFrom(number);
    if (!row) return this.scrollToEnd();
    this.#scrollTo(this.#landing(row));
    this.#atEnd = this.#isAtEnd();
    if (!this.#atEnd && this.thread.unread > 0) newer.hidden = false;
  }

  #landing(row) {
    const above = row.getBoundingClientRect().top - history.getBoundingClientRect().top;
    return history.scrollTop + above - Math.min(landingPixels, history.clientHeight * landingPart);
  }

  /** Takes the person to a line, wherever it is. */
  async #goTo(number) {
    const { thread } = this;
    try {
      await this.#store.loadBackTo(thread.id, number);
    } catch (refusal) {
      return toast(refusal.message);
    }
    if (this.thread !== thread) return;
    this.#atEnd = false;
    this.#update();
    this.#land(number);
    const row = this.#rowFrom(number);
    row?.classList.remove("pointed-at");
    requestAnimationFrame(() => row?.classList.add("pointed-at"));
  }

  /** The line of this entry, or the first one after it that can be seen. */
  #rowFrom(number) {
    let row = this.#rows.get(number) ?? Array.from(entries.children).find((row) => Number(row.dataset.number) >= number);
    while (row?.hidden) row = row.nextElementSibling;
    return row;
  }

  #atEnd = true;

  #clear() {
    this.#reading.clear();
    this.#newRow = null;
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
    const hasNews = firstBefore !== null && added.some((entry) => entry.author !== thread.me);
    older.hidden = !thread.hasOlder;
    this.#renderNew(thread, hasNews, hasWritten);
    if (hasWritten) this.scrollToEnd();
    else if (this.#atEnd) this.#follow();
    else if (entries.firstElementChild !== firstBefore) this.#scrollTo(history.scrollHeight - heightBelow);
    else if (hasNews) newer.hidden = false;
    this.#markRead();
    this.#showJump();
  }

  /** Stays at the end, but lets no line leave the screen that came while nobody looked, or faster than one can read. */
  #follow() {
    const end = history.scrollHeight - history.clientHeight;
    const row = this.#firstUnreadOnScreen();
    if (!row || end <= this.#landing(row)) return this.scrollToEnd();
    this.#scrollTo(Math.max(history.scrollTop, this.#landing(row)));
    this.#atEnd = this.#isAtEnd();
    newer.hidden = this.#atEnd;
  }

  /** The first line that this person has neither read nor seen here; null when there is none. */
  #firstUnread() {
    const { thread } = this;
    if (!thread.loaded || thread.unread === 0) return null;
    let number = thread.read + 1;
    while (number <= thread.lastNumber && this.#isDone(number)) number += 1;
    return number <= thread.lastNumber ? number : null;
  }

  /** The first such line that is not above the screen: those were skipped, and stay where they are. */
  #firstUnreadOnScreen() {
    const { thread } = this;
    const { top } = history.getBoundingClientRect();
    for (let number = this.#firstUnread() ?? Infinity; number <= thread.lastNumber; number += 1) {
      const row = this.#rows.get(number);
      if (row && !this.#isDone(number) && row.getBoundingClientRect().bottom > top) return row;
    }
    return null;
  }

  /** Whether an entry keeps nobody from having read what follows: it was seen, is one's own, or shows nothing. */
  #isDone(number) {
    const { thread } = this;
    const entry = thread.entries.get(number);
    if (!entry) return thread.isAbsent(number) || (number < thread.floor && !thread.hasOlder);
    return thread.seen.has(number) || entry.author === thread.me || this.#rows.get(number)?.hidden === true;
  }

  /** A line above what was unread when the person came, or what came while they looked elsewhere. */
  #renderNew(thread, hasNews, hasWritten) {
    if (hasWritten && thread.unread === 0) this.#firstNew = null;
    const isElsewhere = !isInFront() || !this.#atEnd;
    const isOver = this.#firstNew === null || thread.read >= this.#firstNew;
    if (hasNews && isElsewhere && isOver) this.#firstNew = this.#firstUnread();
    const row = this.#firstNew === null ? null : this.#rowFrom(this.#firstNew);
    if (this.#newRow && this.#newRow !== row) showNewAbove(this.#newRow, null);
    this.#newRow = row;
    if (row) showNewAbove(row, this.#countNew(thread));
  }

  #countNew(thread) {
    if (thread.floor > this.#firstNew) return thread.unread;
    let count = 0;
    for (let number = this.#firstNew; number <= thread.lastNumber; number += 1) {
      const entry = thread.entries.get(number);
      if (entry && entry.author !== thread.me && !this.#rows.get(number)?.hidden) count += 1;
    }
    return count;
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
      const isUnread = entry.author !== thread.me && entry.number > thread.read && !thread.seen.has(entry.number);
      if (isUnread) this.#reading.watch(row);
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
      return isSame(row, item) ? row : pendingRow(item, this.#pendingActions);
    });
    pending.replaceChildren(...rows);
    return items.some((item) => !shown.has(item.clientId));
  }

  #isAtEnd() {
    return history.scrollHeight - history.scrollTop - history.clientHeight < endPixels;
  }

  #scrolled() {
    this.#showJump();
    if (history.scrollTop === this.#ownScrollTop) return;
    this.#ownScrollTop = null;
    this.#atEnd = this.#isAtEnd();
    if (this.#atEnd) newer.hidden = true;
    if (history.scrollTop < beginningPixels) this.#loadOlder();
  }

  /** When the keyboard of a phone appears, the end stays in sight. */
  #stay() {
    if (this.thread?.loaded && this.#atEnd) this.#follow();
    this.#showJump();
  }

  #showJump = onceAFrame(() => {
    if (this.thread?.loaded) this.#jump.show(this.thread, this.#firstUnread());
    else this.#jump.hide();
  });

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

  #seen(numbers) {
    for (const number of numbers) this.thread.seen.add(number);
    this.#markRead();
    this.#showJump();
  }

  /** Read is what was seen without a break from the first unread line on: `read` speaks for all below it. */
  #markRead() {
    const { thread } = this;
    if (!thread?.loaded || !isInFront()) return;
    let number = thread.read;
    while (number < thread.lastNumber && this.#isDone(number + 1)) number += 1;
    if (number > thread.read) this.#store.markRead(thread.id, number);
  }

  #announce(arrived) {
    const { thread, entry } = arrived.at(-1);
    const more = arrived.length > 1 ? `${arrived.length} new messages. ` : "";
    const urgent = entry.priority === "urgent" ? "Urgent. " : "";
    const where = thread === this.thread ? "" : ` in ${thread.title}`;
    announce(`${more}${urgent}${thread.nameOf(entry.author)}${where}: ${summary(entry, thread)}`);
  }
}
