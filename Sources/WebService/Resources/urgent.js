// The unread urgent messages of one thread: what the server counted, brought up to date by what this page is told after.
//
// Some are known by their numbers; of others only the server's count is, since their entries are not here. Where an event
// concerns one that may or may not be counted, `isDoubtful` says that the server must be asked again. Until it has
// answered the count is too high rather than too low.

export class UnreadUrgent {
  isDoubtful = false;

  #known = new Set();
  /** Counted by the server between `#first` and `#upTo`, beyond those that are known. */
  #unknown = 0;
  #first = 0;
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
    if (this.#known.delete(of) || this.#unknown === 0) return;
    const wasCounted = of >= this.#first && of <= this.#upTo && number > this.#upTo;
    if (wasCounted && message?.kind !== "message") this.isDoubtful = true;
  }

  /** The log is another one. */
  reset() {
    this.#known.clear();
    this.#unknown = this.#first = this.#upTo = this.#lastRecall = 0;
    this.isDoubtful = false;
  }
}

function isUrgent(entry, thread) {
  return entry.priority === "urgent" && entry.author !== thread.me;
}
