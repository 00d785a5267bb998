// The list of conversations, newest first.

import { avatar, byId, icon, make, onceAFrame } from "./dom.js";
import { summary, when } from "./format.js";

const list = byId("threads");

export class InboxView {
  #rows = new Map();

  constructor(store, outbox) {
    this.store = store;
    this.outbox = outbox;
    this.current = null;
    const render = onceAFrame(() => this.#render());
    store.addEventListener("changed", render);
    outbox.addEventListener("changed", render);
    const more = byId("inbox-more");
    more.onclick = async () => {
      more.disabled = true;
      await store.loadMoreInbox().catch(() => {});
      more.disabled = false;
    };
  }

  /** Marks the conversation that is open. */
  select(id) {
    this.current = id;
    for (const [thread, row] of this.#rows) mark(row, thread === id);
  }

  /** Puts the keyboard on a conversation's row. */
  focus(id) {
    (this.#rows.get(id) ?? list.firstElementChild)?.firstElementChild.focus();
  }

  #render() {
    const threads = this.store.sorted();
    for (const [id, row] of this.#rows) {
      if (this.store.threads.has(id)) continue;
      this.#rows.delete(id);
      row.remove();
    }
    threads.forEach((thread, index) => {
      const row = this.#rows.get(thread.id) ?? this.#add(thread.id);
      this.#fill(row, thread);
      if (list.children[index] !== row) this.#move(row, index);
    });
    byId("inbox-empty").hidden = !this.store.ready || threads.length > 0 || this.store.next !== undefined;
    byId("inbox-more").hidden = this.store.next === undefined;
    const { count, more } = this.store.unreadThreads();
    document.title = count > 0 ? `(${count}${more ? "+" : ""}) Messages` : "Messages";
  }

  #add(id) {
    const row = make("li", {}, make("a", { class: "row", href: `#/thread/${id}` }));
    this.#rows.set(id, row);
    mark(row, id === this.current);
    return row;
  }

  /** Moving an element takes the focus from it, so it is given back. */
  #move(row, index) {
    const focused = row.contains(document.activeElement) ? document.activeElement : null;
    list.insertBefore(row, list.children[index] ?? null);
    focused?.focus({ preventScroll: true });
  }

  #fill(row, thread) {
    const waiting = this.outbox.of(thread.id).at(-1);
    const shown = JSON.stringify([
      thread.title, thread.lastNumber, thread.last?.number, thread.last?.kind, thread.unread, thread.urgent.count, waiting?.clientId,
      Boolean(waiting?.failed), thread.participantCount, thread.nameOf(thread.last?.author), dayMark(thread),
    ]);
    if (row.dataset.shown === shown) return;
    row.dataset.shown = shown;
    row.dataset.thread = thread.id;
    row.classList.toggle("unread", thread.unread > 0);
    const urgent = thread.urgent.count > 0;
    const other = thread.others()[0];
    row.firstElementChild.replaceChildren(
      avatar(thread.isGroup ? "" : (other?.name ?? thread.title), other?.id ?? thread.id, thread.isGroup),
      make("span", { class: "row-title", dir: "auto" }, thread.title),
      make("span", { class: "row-when quiet small" }, thread.last ? when(thread.last.at) : ""),
      make("span", { class: "row-last quiet", dir: "auto" }, ...preview(thread, waiting)),
      make(
        "span",
        { class: "row-marks" },
        urgent ? make("span", { class: "badge urgent" }, icon("urgent"), "Urgent") : null,
        thread.unread > 0 ? unreadBadge(thread.unread) : null,
      ),
    );
  }
}

function dayMark(thread) {
  return thread.last ? when(thread.last.at) : "";
}

function mark(row, isCurrent) {
  row.classList.toggle("current", isCurrent);
  if (isCurrent) row.firstElementChild.setAttribute("aria-current", "true");
  else row.firstElementChild.removeAttribute("aria-current");
}

function preview(thread, waiting) {
  if (waiting) {
    const state = waiting.failed ? "Not sent: " : "Sending: ";
    return [make("span", { class: waiting.failed ? "bad" : "" }, state), summary({ ...waiting, kind: "message" }, thread)];
  }
  const last = thread.last;
  if (!last) return [];
  const showsAuthor = last.kind === "message" && (last.author === thread.me || thread.isGroup);
  return showsAuthor ? [`${thread.nameOf(last.author)}: `, summary(last, thread)] : [summary(last, thread)];
}

function unreadBadge(unread) {
  return make(
    "span",
    { class: "badge" },
    unread > 99 ? "99+" : String(unread),
    make("span", { class: "unseen" }, " unread"),
  );
}
