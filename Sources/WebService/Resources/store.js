// The threads of the logged-in person: loaded by REST, kept current by live frames, each entry taken once.
//
// Events: "changed" (detail: a Set of thread ids; "inbox" when the list itself changed), "arrived" (detail: an array of
// {thread, entry} written by others, as they come).

import { epochOf } from "./live.js";
import { Thread } from "./thread.js";

/** How many own messages are remembered by their numbers. */
const ownKept = 1_000;
const pageLimit = 100;
/** Most pages fetched to close a hole or to catch up before starting again from the newest. */
const catchUpPages = 20;
const catchUpLimit = 500;
/** How many rows of the inbox are shown at first, and with each wish to see older ones. */
const rowsAtOnce = 50;
/** How many rows are loaded again at once, and how often at most: further ones are loaded when they are asked for. */
const reloadLimit = 200;
const reloadPages = 25;
/** How many read lines are shown above the first unread one. */
const contextEntries = 5;
/** How often in a row the server is asked how many urgent messages are unread, and after which pause. */
const doubtAttempts = 5;
const doubtPauseMilliseconds = 300;
/** How many threads with undelivered messages are loaded ahead when the page starts. */
const prefetchThreads = 20;
/** How long a hole may be one of our own unanswered sends before it counts as a loss. */
const holePatienceMilliseconds = 2_000;

export class Store extends EventTarget {
  threads = new Map();
  next = undefined;
  ready = false;

  #api;
  #receipts;
  #epoch = undefined;
  /** The newest own messages: their client ids by thread and number. */
  #own = new Map();
  #arriving = new Map();
  #mending = new Set();
  #doubted = new Set();

  constructor(api, receipts, me) {
    super();
    this.#api = api;
    this.#receipts = receipts;
    this.me = me;
  }

  /** Loads the first page of the inbox; answers the cursor to go live from. */
  async loadInbox() {
    const page = await this.#api.inbox();
    this.#takeInboxPage(page);
    await this.#loadRows(rowsAtOnce - page.threads.length);
    this.#epoch = epochOf(page.cursor);
    this.ready = true;
    this.#changed("inbox");
    return page.cursor;
  }

  async loadMoreInbox() {
    await this.#loadRows(rowsAtOnce);
    this.#changed("inbox");
  }

  /** Loads about so many older rows: a page may hold few, or none, though others follow. */
  async #loadRows(wanted) {
    for (let pages = 0; wanted > 0 && this.next !== undefined && pages < reloadPages; pages += 1) {
      const page = await this.#api.inbox(this.next);
      this.#takeInboxPage(page);
      wanted -= page.threads.length;
    }
  }

  #takeInboxPage(page) {
    this.next = page.next;
    for (const head of page.threads) {
      const known = this.threads.get(head.id);
      if (known) known.takeHead(head);
      else this.threads.set(head.id, new Thread(this.me, head));
    }
  }

  /** Threads, that with the newest visible entry first. */
  sorted() {
    return Array.from(this.threads.values()).sort((one, other) => other.shownPosition - one.shownPosition);
  }

  /** How many conversations here have something unread; `more`: older ones, which are not here, may have too. */
  unreadThreads() {
    const count = this.sorted().filter((thread) => thread.unread > 0).length;
    return { count, more: this.next !== undefined };
  }

  /** Fetches what arrived while this person was away, then says so to the authors. */
  async receiveBacklog() {
    const waiting = this.sorted().filter((thread) => thread.delivered < thread.lastNumber && thread.isMember);
    for (const thread of waiting.slice(0, prefetchThreads)) {
      await this.load(thread.id);
    }
  }

  /** The thread with its people and its entries from the first unread one on. */
  async open(id) {
    const thread = this.threads.get(id) ?? (await this.#fetchThread(id));
    await Promise.all([thread.detailed ? null : this.refreshDetails(id), this.load(id)]);
    // When this fails, the conversation can be shown all the same: what is unread above is offered there.
    if (thread.unread > 0) await this.loadBackTo(id, thread.read + 1 - contextEntries).catch(() => {});
    return thread;
  }

  /** Loads earlier entries until this one is here, or so many that a person should ask for more. */
  async loadBackTo(id, number) {
    const thread = this.threads.get(id);
    for (let pages = 0; thread.loaded && thread.hasOlder && thread.floor > number && pages < catchUpPages; pages += 1) {
      await this.loadOlder(id, Math.min(catchUpLimit, Math.max(1, thread.floor - number)));
    }
  }

  async refreshDetails(id) {
    const { thread: details } = await this.#api.thread(id);
    this.threads.get(id)?.takeDetails(details);
    this.#changed(id);
  }

  /** Loads the newest entries of a thread unless they are here. */
  async load(id) {
    const thread = this.threads.get(id);
    if (!thread || thread.loaded) return;
    const page = await this.#api.history(id, { limit: pageLimit });
    if (thread.loaded) return;
    thread.takePage(page.entries, { hasOlder: page.more });
    await this.loadBackTo(id, thread.delivered + 1);
    this.#delivered(thread);
    this.#changed(id);
    this.#checkHole(thread, 0);
  }

  async loadOlder(id, limit = pageLimit) {
    const thread = this.threads.get(id);
    if (!thread?.loaded || !thread.hasOlder) return;
    const page = await this.#api.history(id, { before: thread.floor, limit });
    thread.takePage(page.entries, { hasOlder: page.more && page.entries.length > 0 });
    this.#changed(id);
  }

  /** Takes over an `entries` frame. */
  takeEntries(entries) {
    const changed = new Set();
    const arrived = [];
    for (const entry of entries) {
      const thread = this.threads.get(entry.thread);
      if (!thread) {
        this.#meet(entry);
        continue;
      }
      if (!thread.take(entry)) continue;
      changed.add(thread.id);
      if (entry.author !== this.me) arrived.push({ thread, entry });
      if (entry.kind === "added" || entry.kind === "created") this.#refresh(thread.id);
    }
    for (const id of changed) this.#delivered(this.threads.get(id));
    this.#changed(...changed);
    if (arrived.length > 0) this.dispatchEvent(new CustomEvent("arrived", { detail: arrived }));
    for (const id of changed) this.#checkHole(this.threads.get(id));
  }

  /** Takes over a `receipts` frame. */
  takeReceipts(frame) {
    const thread = this.threads.get(frame.thread);
    if (!thread) return;
    thread.takeReceipts(frame.receipts);
    this.#changed(thread.id);
  }

  /** An own request was stored for good: it becomes a line of its thread. */
  takeOwn(id, content, { position, number, at }) {
    this.#noteOwn(id, number, content.clientId);
    this.takeEntries([{ ...content, thread: id, author: this.me, position, number, at }]);
    const thread = this.threads.get(id);
    // The server may have stored this before the receipt for what came just before it.
    if (thread?.read >= number && this.#receipts.isRecent(id)) this.#receipts.read(id, thread.read);
  }

  /** What was loaded is of another history of the log: the next resync replaces all of it, marks included. */
  forgetLog() {
    this.#epoch = undefined;
    this.#own.clear();
  }

  /** Whether an entry has the number with which another message of this page was acknowledged: no cursor covers those. */
  contradicts(entries) {
    return entries.some(({ thread, number, clientId }) => {
      const known = this.#own.get(`${thread}.${number}`);
      return known && clientId && known !== clientId;
    });
  }

  #noteOwn(thread, number, clientId) {
    if (!clientId) return;
    this.#own.set(`${thread}.${number}`, clientId.toLowerCase());
    if (this.#own.size > ownKept) this.#own.delete(this.#own.keys().next().value);
  }

  /** Too far behind to be told what happened: loads the inbox again, and continues what is open where it was. */
  async resync(openThread, cursor) {
    const isOtherLog = epochOf(cursor) !== this.#epoch;
    this.#epoch = epochOf(cursor);
    if (isOtherLog) this.#receipts.forget();
    for (const thread of this.threads.values()) {
      thread.detailed = false;
      if (isOtherLog) thread.reset();
      else if (thread.id !== openThread) thread.unload();
    }
    await this.#reloadInbox(openThread);
    const thread = this.threads.get(openThread);
    if (thread?.loaded && !(await this.#continue(thread))) thread.unload();
    if (thread) await this.#openAgain(thread);
    await this.receiveBacklog();
  }

  async #openAgain(thread) {
    try {
      await this.open(thread.id);
    } catch (refusal) {
      if (refusal.code !== "not-found") throw refusal;
      thread.unload();
      this.threads.delete(thread.id);
      this.#changed("inbox", thread.id);
    }
  }

  /** Loads all rows anew that had been loaded, page by page, and drops those that are no longer among them. */
  async #reloadInbox(openThread) {
    const before = new Map(Array.from(this.threads.values(), (thread) => [thread, thread.lastNumber]));
    const end = this.next ?? 0;
    const found = new Set();
    let next = undefined;
    for (let pages = 0; pages < reloadPages; pages += 1) {
      const page = await this.#api.inbox(next, reloadLimit);
      for (const head of page.threads) found.add(head.id);
      this.#takeInboxPage(page);
      next = page.next;
      if (next === undefined || next <= end) break;
    }
    for (const [thread, lastNumber] of before) {
      // One that moved to the top while pages were loaded can be missing in all of them.
      const isGone = !found.has(thread.id) && thread.lastNumber === lastNumber;
      if (isGone && thread.id !== openThread) this.threads.delete(thread.id);
    }
    this.ready = true;
    this.#changed("inbox", ...this.threads.keys());
  }

  /** This person has seen everything up to here. */
  markRead(id, number) {
    const thread = this.threads.get(id);
    if (!thread || !thread.markRead(number)) return;
    this.#receipts.read(id, thread.read);
    this.#changed(id);
  }

  /** Loads what followed the newest entry here; false when that entry is not the server's any more. */
  async #continue(thread) {
    const last = thread.entries.get(thread.top);
    for (let pages = 0; pages < catchUpPages; pages += 1) {
      const after = pages === 0 ? thread.top - 1 : thread.top;
      const page = await this.#api.history(thread.id, { after, limit: catchUpLimit });
      if (pages === 0 && page.entries[0]?.position !== last?.position) return false;
      thread.takePage(page.entries);
      this.#delivered(thread);
      this.#changed(thread.id);
      if (!page.more) return true;
    }
    return false;
  }

  /** A thread heard of for the first time: somebody started it, or added us. */
  async #meet(entry) {
    const id = entry.thread;
    const isFirst = !this.#arriving.has(id);
    this.#arriving.set(id, entry);
    if (!isFirst) return;
    try {
      const thread = await this.#fetchThread(id);
      await this.load(id);
      const newest = thread.ordered().findLast(({ author }) => author !== this.me);
      if (newest) this.dispatchEvent(new CustomEvent("arrived", { detail: [{ thread, entry: newest }] }));
    } catch {
      // The thread is told of again by its next entry, and by the inbox.
    } finally {
      this.#arriving.delete(id);
    }
  }

  async #fetchThread(id) {
    const { thread: details } = await this.#api.thread(id);
    const thread = this.threads.get(id) ?? new Thread(this.me, details);
    this.threads.set(id, thread);
    thread.takeDetails(details);
    thread.keepLast(this.#arriving.get(id));
    this.#changed("inbox", id);
    return thread;
  }

  /** People came: their names are needed; when this fails, they are shown without until the thread is opened. */
  #refresh(id) {
    const thread = this.threads.get(id);
    if (thread.detailed) this.refreshDetails(id).catch(() => (thread.detailed = false));
  }

  #delivered(thread) {
    const number = thread.hole() ?? thread.lastNumber;
    if (thread.delivered >= number || !thread.isMember) return;
    thread.delivered = number;
    this.#receipts.delivered(thread.id, number);
  }

  #checkHole(thread, patience = holePatienceMilliseconds) {
    if (thread.hole() === null || this.#mending.has(thread.id)) return;
    this.#mending.add(thread.id);
    setTimeout(() => this.#mend(thread), patience);
  }

  async #mend(thread) {
    try {
      for (let pages = 0, hole = thread.hole(); hole !== null && pages < catchUpPages; pages += 1) {
        // A number that is told of meanwhile is not absent: its entry is on its way.
        const known = thread.lastNumber;
        const page = await this.#api.history(thread.id, { after: hole, limit: catchUpLimit });
        thread.takePage(page.entries);
        const end = page.more ? (page.entries.at(-1)?.number ?? hole + 1) : known;
        thread.acceptHole(hole + 1, end);
        hole = thread.hole();
      }
      this.#delivered(thread);
      this.#changed(thread.id);
    } catch {
      // Tried again with the thread's next entry.
    } finally {
      this.#mending.delete(thread.id);
    }
  }

  /** Asks the server again where it is not sure how many urgent messages are unread. */
  #settleDoubt(thread, attempt = 1) {
    if (!thread?.urgent.isDoubtful || this.#doubted.has(thread.id)) return;
    this.#doubted.add(thread.id);
    setTimeout(async () => {
      // When this fails, the count stays too high until the thread's next change.
      await this.refreshDetails(thread.id).catch(() => {});
      this.#doubted.delete(thread.id);
      if (attempt < doubtAttempts) this.#settleDoubt(thread, attempt + 1);
    }, doubtPauseMilliseconds);
  }

  #changed(...ids) {
    for (const id of ids) this.#settleDoubt(this.threads.get(id));
    if (ids.length > 0) this.dispatchEvent(new CustomEvent("changed", { detail: new Set(ids) }));
  }
}
