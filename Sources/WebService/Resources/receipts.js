// What this device has received and this person has read, told to the server: merged, repeated after a reconnect.

const pauseMilliseconds = 100;
/** Receipts younger than this may have been lost with the connection and are sent again. */
const repeatWithinMilliseconds = 60_000;
/** After this long a receipt has been stored, while the connection lasts. */
const settledMilliseconds = 5_000;

export class Receipts {
  #live;
  #states = new Map();
  #dirty = new Set();
  #timer = 0;

  constructor(live) {
    this.#live = live;
    live.addEventListener("state", () => {
      if (live.state !== "live") return;
      if (live.isOtherLog) this.forget();
      else this.#repeat();
    });
  }

  /** The log is another one: the same numbers would speak of messages that nobody has seen. */
  forget() {
    this.#states.clear();
    this.#dirty.clear();
  }

  delivered(thread, number) {
    this.#note(thread, { delivered: number });
  }

  read(thread, number) {
    this.#note(thread, { delivered: number, read: number });
  }

  /** Whether a receipt of this thread may not have reached the server yet. */
  isRecent(thread) {
    return Date.now() - (this.#states.get(thread)?.at ?? 0) < settledMilliseconds;
  }

  #note(thread, progress) {
    const state = this.#states.get(thread) ?? {};
    for (const key in progress) state[key] = Math.max(state[key] ?? 0, progress[key]);
    state.at = Date.now();
    this.#states.set(thread, state);
    this.#dirty.add(thread);
    this.#timer ||= setTimeout(() => this.#flush(), pauseMilliseconds);
  }

  #flush() {
    this.#timer = 0;
    for (const thread of this.#dirty) {
      const { delivered, read } = this.#states.get(thread);
      if (!this.#live.send({ kind: "receipt", thread, delivered, read })) return;
      this.#dirty.delete(thread);
    }
  }

  #repeat() {
    for (const [thread, state] of this.#states) {
      if (Date.now() - state.at < repeatWithinMilliseconds) this.#dirty.add(thread);
    }
    this.#flush();
  }
}
