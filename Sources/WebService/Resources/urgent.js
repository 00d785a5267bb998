// The unread urgent messages of one thread: what the server counted, brought up to date by what this page is told after.
//
// Some are known by their numbers; of others only the server's count is, since their entries are not here. Where an event
// concerns one that may or may not be counted, `isDoubtful` says that the server must be asked again. Until it has
// answered the count is too high rather than too low. Tests/Browser/urgent_model.js tries it against a server's truth.

export class UnreadUrgent {
  isDoubtful = false;

  #known = new Set();
  /** Counted by the server beyond those that are known; the lowest number that they can have is `#first`. */
  #unknown = 0;
  #first = 0;
  /** The server's count covers what comes after `#from` up to `#upTo`. */
  #from = 0;
  #upTo = 0;
  #lastRecall = 0;

  get count() {
    return this.#known.size + this.#unknown;
  }

  /** How many lie among entries that are not here, and the lowest number that they can have. */
  get elsewhere() {
    return { count: this.#unknown, first: this.#first };
  }

  /** The numbers that are known, ascending. */
  numbers() {
    return Array.from(this.#known).sort((one, other) => one - other);
  }

  /** Takes over the server's count, which covers what lies between `read` and `lastNumber` of its answer. */
  takeHead({ urgentUnread, firstUnreadUrgent, lastNumber = 0, read = 0 }, thread) {
    if (urgentUnread === undefined || lastNumber < this.#upTo) return;
    const isHere = (number) => thread.entries.has(number);
    for (const number of this.#known) {
      if (number <= lastNumber && !isHere(number)) this.#known.delete(number);
    }
    let here = 0;
    for (const entry of thread.entries.values()) {
      if (isUrgent(entry, thread) && entry.number > read && entry.number <= lastNumber) here += 1;
    }
    this.#unknown = Math.max(0, urgentUnread - here);
    this.#first = firstUnreadUrgent ?? 0;
    this.#from = read;
    this.#upTo = lastNumber;
    this.isDoubtful = this.#unknown > 0 && this.#lastRecall > lastNumber;
    this.readTo(thread.read, thread);
  }

  /** An entry came, or was loaded. */
  note(entry, thread) {
    if (!isUrgent(entry, thread) || entry.number <= thread.read || this.#known.has(entry.number)) return;
    this.#known.add(entry.number);
    if (entry.number <= this.#upTo) this.#unknown = Math.max(0, this.#unknown - 1);
  }

  /** Everything up to here has been read, on this device or another. */
  readTo(number, thread) {
    for (const known of this.#known) if (known <= number) this.#known.delete(known);
    if (this.#unknown === 0 || number < this.#first) return;
    if (number >= this.#upTo) this.#unknown = 0;
    else if (thread.holdsAll(this.#first, number)) this.#first = number + 1;
    else this.isDoubtful = true;
  }

  /** A message was taken back; `message` is what was known of it. */
  recalled({ number, of }, message) {
    this.#lastRecall = Math.max(this.#lastRecall, number);
    const wasKnown = this.#known.delete(of);
    if (of <= this.#from || of > this.#upTo) return;
    if (number <= this.#upTo) {
      // The server had left it out already, while this page may have taken it for one of those that were counted.
      this.isDoubtful = true;
    } else if (!wasKnown && this.#unknown > 0 && of >= this.#first && message?.kind !== "message") {
      this.isDoubtful = true;
    }
  }

  /** The entries are here no more: which of those that were counted had been taken back is no longer told. */
  forgetEntries() {
    for (const number of this.#known) {
      if (number > this.#upTo) continue;
      this.#known.delete(number);
      this.#unknown += 1;
      this.#first = Math.min(this.#first || number, number);
      this.isDoubtful = true;
    }
  }

  /** The log is another one. */
  reset() {
    this.#known.clear();
    this.#unknown = this.#first = this.#from = this.#upTo = this.#lastRecall = 0;
    this.isDoubtful = false;
  }
}

function isUrgent(entry, thread) {
  return entry.priority === "urgent" && entry.author !== thread.me;
}
