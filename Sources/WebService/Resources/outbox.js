// Messages written but not yet confirmed: kept with their client ids until `ack` or a final refusal (rule 5).
//
// One message per thread is on its way at a time, so a refused one can never be overtaken. Each is stored under a key of
// its own, so that two tabs do not overwrite each other. Events: "changed" (detail: a thread id).

import { byteCount } from "./format.js";
import { uuid7 } from "./uuid.js";

const ackMilliseconds = 15_000;
const retryFirstMilliseconds = 500;
const retryMostMilliseconds = 15_000;
/** The server closed because of a frame larger than it takes (docs/client-protocol.md, section 3). */
const tooLargeCode = 1009;
/** Most messages waiting to be sent. */
const itemLimit = 200;

export class Outbox extends EventTarget {
  #items = [];
  #live;
  #storage;
  #prefix;
  #onAck;
  #flights = new Map();

  /** `onAck(item, ack)` is called once for each message that is stored for good. */
  constructor(live, storage, user, onAck) {
    super();
    this.#live = live;
    this.#storage = storage;
    this.#prefix = `asm.outbox.${user}.`;
    this.#onAck = onAck;
    this.#restore();
    live.addEventListener("state", () => this.#stateChanged());
    live.addEventListener("closed", ({ detail: code }) => {
      if (code === tooLargeCode) this.#blameLargest();
    });
    live.addEventListener("frame", ({ detail: frame }) => {
      if (frame.kind === "ack") this.#accepted(frame.ref, frame);
      else if (frame.kind === "refused" && frame.ref !== undefined) this.#refused(frame);
    });
  }

  get count() {
    return this.#items.length;
  }

  /** Messages of a thread that wait, oldest first; `failed` holds the reason when the server refused one. */
  of(thread) {
    return this.#items.filter((item) => item.thread === thread);
  }

  /** Takes a message; false when too many wait already. */
  add(thread, text, priority) {
    if (this.#items.length >= itemLimit) return false;
    const item = { clientId: uuid7(), thread, text, priority, at: Date.now() };
    this.#items.push(item);
    this.#save(item);
    this.#changed(thread);
    this.#pump(thread);
    return true;
  }

  /** Sends a refused message again, under the same client id: it still cannot be stored twice. */
  retry(clientId) {
    const item = this.#find(clientId);
    if (!item) return;
    delete item.failed;
    item.attempts = 0;
    this.#save(item);
    this.#changed(item.thread);
    this.#pump(item.thread);
  }

  discard(clientId) {
    const item = this.#find(clientId);
    if (item) this.#remove(item);
  }

  /** An own message seen in the log: the ack got lost, the message did not. */
  settle(entry) {
    const item = entry.clientId && this.#find(entry.clientId);
    if (item) this.#remove(item);
  }

  #stateChanged() {
    for (const flight of this.#flights.values()) clearTimeout(flight.timer);
    this.#flights.clear();
    if (this.#live.state !== "live") return;
    for (const thread of new Set(this.#items.map((item) => item.thread))) this.#pump(thread);
  }

  #pump(thread) {
    if (this.#flights.has(thread)) return;
    const item = this.#items.find((item) => item.thread === thread && !item.failed);
    if (!item) return;
    const { clientId, text, priority } = item;
    if (!this.#live.send({ kind: "send", ref: clientId, clientId, thread, text, priority })) return;
    this.#fly(thread, ackMilliseconds, () => this.#live.reconnect(), item);
  }

  /** `sent`: the message that is without an answer meanwhile. */
  #fly(thread, milliseconds, work, sent = null) {
    clearTimeout(this.#flights.get(thread)?.timer);
    this.#flights.set(thread, { timer: setTimeout(work, milliseconds), sent });
  }

  /**
   * The connection was closed because a frame was too large: if any of the unanswered ones was, it is the largest. It
   * would be so each time, so it is not sent again, and what waits behind it goes on.
   */
  #blameLargest() {
    const sizes = Array.from(this.#flights.values(), ({ sent }) => [sent ? byteCount(JSON.stringify(sent.text)) : 0, sent]);
    const [, item] = sizes.reduce((one, other) => (other[0] > one[0] ? other : one), [0, null]);
    if (item) this.#fail(item, "It is too large for the server. Shorten it, or send it in parts.");
  }

  #fail(item, reason) {
    item.failed = reason;
    this.#save(item);
    this.#land(item.thread);
    this.#changed(item.thread);
    this.#pump(item.thread);
  }

  #land(thread) {
    clearTimeout(this.#flights.get(thread)?.timer);
    this.#flights.delete(thread);
  }

  #accepted(ref, ack) {
    const item = this.#find(ref);
    if (!item) return;
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#forget(item);
    this.#onAck(item, ack);
    this.#changed(item.thread);
    this.#land(item.thread);
    this.#pump(item.thread);
  }

  #refused({ ref, code, message, retryAfterMs }) {
    const item = this.#find(ref);
    if (!item) return;
    if (code === "unavailable" || code === "too-many-requests") {
      item.attempts = (item.attempts ?? 0) + 1;
      const pause = Math.min(retryMostMilliseconds, retryFirstMilliseconds * 2 ** item.attempts) * Math.random();
      this.#fly(item.thread, Math.max(retryAfterMs ?? 0, pause), () => {
        this.#land(item.thread);
        this.#pump(item.thread);
      });
      return;
    }
    this.#fail(item, message || "The server did not accept this message.");
  }

  #find(clientId) {
    return this.#items.find((item) => item.clientId === clientId);
  }

  #remove(item) {
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#forget(item);
    this.#changed(item.thread);
    this.#land(item.thread);
    this.#pump(item.thread);
  }

  #restore() {
    const keys = Object.keys(this.#storage).filter((key) => key.startsWith(this.#prefix));
    for (const key of keys.sort()) {
      try {
        this.#items.push(JSON.parse(this.#storage.getItem(key)));
      } catch {
        this.#storage.removeItem(key);
      }
    }
  }

  /** A full storage keeps the message in this tab only: it is still sent. */
  #save(item) {
    try {
      this.#storage.setItem(this.#prefix + item.clientId, JSON.stringify(item));
    } catch {
      this.#forget(item);
    }
  }

  #forget(item) {
    this.#storage.removeItem(this.#prefix + item.clientId);
  }

  #changed(thread) {
    this.dispatchEvent(new CustomEvent("changed", { detail: thread }));
  }
}
