// The messenger page: who is logged in, what is connected to what, and which conversation is open.

import { API } from "./api.js";
import { Composer, hasKeyboard } from "./composer.js";
import { confirmLogOut, detailsDialog, newThreadDialog, peopleDialog } from "./dialogs.js";
import { byId, toast } from "./dom.js";
import { InboxView } from "./inbox-view.js";
import { Live } from "./live.js";
import { logIn } from "./login-view.js";
import { Outbox } from "./outbox.js";
import { Receipts } from "./receipts.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { ThreadView } from "./thread-view.js";

/** A connection lost for less than this is not worth a word. */
const calmMilliseconds = 1_500;
const logOutMilliseconds = 3_000;
const loadFirstMilliseconds = 1_000;
const loadMostMilliseconds = 15_000;
const endedKey = "asm.ended";

class Messenger {
  constructor(session) {
    this.session = session;
    this.me = session.user.id;
    this.api = new API(session.token, () => this.expire());
    this.live = new Live(session.token);
    this.receipts = new Receipts(this.live);
    this.store = new Store(this.api, this.receipts, this.me);
    this.outbox = new Outbox(this.live, session.storage, this.me, ({ thread, clientId, text, priority }, ack) =>
      this.store.takeOwn(thread, { kind: "message", clientId, text, priority }, ack),
    );
    this.inbox = new InboxView(this.store, this.outbox);
    this.composer = new Composer((thread, text, priority) => this.outbox.add(thread, text, priority));
    this.threadView = new ThreadView(this.store, this.outbox, {
      details: (thread, entry) => detailsDialog(this.api, this.store, thread, entry),
      edit: (item) => this.edit(item),
    });
  }

  async run() {
    byId("messenger").hidden = false;
    byId("inbox-user").textContent = `${this.session.user.name} · ${this.session.customer.name}`;
    this.wire();
    const cursor = await this.loadInbox();
    this.live.start(cursor);
    this.route();
    this.store.receiveBacklog().catch(() => {});
  }

  wire() {
    this.live.addEventListener("frame", ({ detail: frame }) => this.receive(frame));
    this.live.addEventListener("state", () => this.showConnection());
    addEventListener("hashchange", () => this.route());
    addEventListener("offline", () => this.showConnection());
    addEventListener("online", () => this.showConnection());
    this.session.onEndedElsewhere(() => location.replace("/"));
    byId("log-out").onclick = () => this.logOut();
    for (const id of ["new-thread", "inbox-empty-new"]) {
      byId(id).onclick = () => newThreadDialog(this.api, this.me, (thread) => (location.hash = `#/thread/${thread}`));
    }
    byId("thread-back").onclick = () => (location.hash = "#/");
    byId("people-open").onclick = () => peopleDialog(this.api, this.store, this.threadView.thread);
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !byId("dialog").open && this.openId) location.hash = "#/";
    });
  }

  /** The first page of conversations; tried until it works, because nothing can be shown without it. */
  async loadInbox() {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const cursor = await this.store.loadInbox();
        this.notice("");
        return cursor;
      } catch (refusal) {
        this.notice(refusal.message);
        await pauseBeforeLoading(attempt);
      }
    }
  }

  receive(frame) {
    switch (frame.kind) {
      case "entries":
        if (this.store.contradicts(frame.entries)) this.resync(frame.cursor, true);
        for (const entry of frame.entries) if (entry.author === this.me) this.outbox.settle(entry);
        this.store.takeEntries(frame.entries);
        break;
      case "receipts":
        this.store.takeReceipts(frame);
        break;
      case "welcome":
        if (frame.resync) this.resync(frame.cursor, frame.otherLog);
        break;
      case "resync":
        this.resync(frame.cursor, frame.otherLog);
        break;
      case "bye":
        if (frame.code === "unauthenticated") this.expire();
        break;
    }
  }

  /** Loads what happened before the new cursor, however often it takes; what comes meanwhile is taken live. */
  async resync(cursor, otherLog = false) {
    this.resyncCursor = cursor;
    if (otherLog) this.store.forgetLog();
    this.resyncsWanted = (this.resyncsWanted ?? 0) + 1;
    if (this.resyncsWanted > 1) return;
    for (let done = 0, attempt = 0; done < this.resyncsWanted; attempt += 1) {
      const wanted = this.resyncsWanted;
      try {
        await this.store.resync(this.openId, this.resyncCursor);
        done = wanted;
      } catch {
        await pauseBeforeLoading(attempt);
      }
    }
    this.resyncsWanted = 0;
  }

  /** Shows what the address says: a conversation, or on a phone the list. */
  async route() {
    const id = location.hash.match(/^#\/thread\/(\d+)$/)?.[1] ?? null;
    const before = this.openId;
    this.openId = id;
    document.body.classList.toggle("in-thread", id !== null);
    this.inbox.select(id);
    if (id === null) {
      this.threadView.close();
      if (before) this.inbox.focus(before);
      return;
    }
    const shown = await this.threadView.open(id);
    if (this.openId !== id) return;
    if (!shown) return void (location.hash = "#/");
    this.composer.open(id);
    if (hasKeyboard() && !byId("composer").hidden) this.composer.focus();
    else byId("thread-title").focus({ preventScroll: true });
  }

  /** Takes a message that was not sent back to where it was written. */
  edit({ clientId, text, priority }) {
    // Where nobody can write any more, the row keeps the text.
    if (byId("composer").hidden) return;
    this.composer.takeBack(text, priority);
    this.outbox.discard(clientId);
  }

  showConnection() {
    const { state } = this.live;
    if (state === "ended" || (state === "live" && navigator.onLine)) {
      clearTimeout(this.calmTimer);
      this.calmTimer = undefined;
      return this.notice("");
    }
    // One timer from the first sign of trouble on: attempts that fail one after the other must not put it off.
    this.calmTimer ??= setTimeout(() => this.noticeTrouble(), calmMilliseconds);
    if (!byId("connection").hidden) this.noticeTrouble();
  }

  noticeTrouble() {
    this.notice(navigator.onLine ? "Reconnecting…" : "You are offline. Messages are sent as soon as you are back.");
  }

  notice(sentence) {
    byId("connection").textContent = sentence;
    byId("connection").hidden = !sentence;
  }

  async logOut() {
    if (this.outbox.count > 0 && !(await confirmLogOut(this.outbox.count))) return;
    this.live.stop();
    const patience = new Promise((resolve) => setTimeout(resolve, logOutMilliseconds));
    await Promise.race([this.api.logOut().catch(() => {}), patience]);
    Session.forgetEverything();
    location.replace("/");
  }

  /** The server no longer accepts the token. Unsent messages wait for the same person. */
  expire() {
    if (this.expired) return;
    this.expired = true;
    this.live.stop();
    this.session.expire();
    sessionStorage.setItem(endedKey, "You have been logged out. Please log in again.");
    location.reload();
  }
}

function pauseBeforeLoading(attempt) {
  const most = Math.min(loadMostMilliseconds, loadFirstMilliseconds * 2 ** attempt);
  return new Promise((resolve) => setTimeout(resolve, most * (0.5 + Math.random() / 2)));
}

// A page brought back from the browser's memory must not show what a logged-out person saw.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
addEventListener("unhandledrejection", (event) => {
  if (!event.reason?.code) return;
  event.preventDefault();
  toast(event.reason.message);
});

const reason = sessionStorage.getItem(endedKey);
sessionStorage.removeItem(endedKey);
await new Messenger(Session.load() ?? (await logIn(reason))).run();
