// What this page knows of one thread: its head always, its entries once it has been opened.

import { UnreadUrgent } from "./urgent.js";

export class Thread {
  /** Entries by number; empty until `loaded`. Numbers are dense between `floor` and `top`. */
  entries = new Map();
  loaded = false;
  /** Older entries exist on the server. */
  hasOlder = false;
  floor = 0;
  top = 0;
  /** People by id, with `delivered` and `read`; only complete once `detailed`. */
  people = new Map();
  detailed = false;
  lastNumber = 0;
  /** Of the last entry that people see: the inbox is ordered by it. Receipts do not move it. */
  shownPosition = 0;
  delivered = 0;
  read = 0;
  urgent = new UnreadUrgent();
  /** Numbers beyond `read` that this person has seen on this page. */
  seen = new Set();
  /** Numbers that stayed missing although the server was asked: not asked again. */
  #absent = new Set();
  /** How many numbers beyond `read` this person was not there for, as long as `read` stands where the server counted. */
  #away = { read: 0, count: 0 };

  constructor(me, head) {
    this.me = me;
    this.id = head.id;
    this.takeHead(head);
  }

  /** Takes over an inbox row; what this page already knows better is kept. */
  takeHead(head) {
    this.subject = head.subject ?? "";
    this.closed = head.state === "closed";
    this.lastNumber = Math.max(head.lastNumber ?? 0, this.lastNumber);
    this.shownPosition = Math.max(head.lastShownPosition ?? head.last?.position ?? 0, this.shownPosition);
    this.delivered = Math.max(head.delivered ?? 0, this.delivered);
    if ((head.read ?? 0) > this.read) this.markRead(head.read);
    if (head.unread !== undefined && head.read === this.read && head.lastNumber !== undefined && !head.left) {
      this.#away = { read: this.read, count: Math.max(0, head.lastNumber - head.read - head.unread) };
    }
    this.keepLast(head.last);
    this.urgent.takeHead(head, this);
    for (const person of head.participants ?? []) {
      this.people.set(person.id, { delivered: 0, read: 0, ...this.people.get(person.id), ...person });
    }
    this.participantCount = head.participantCount ?? this.present().length;
  }

  /** Takes over `GET /v1/threads/{id}`. */
  takeDetails(head) {
    this.detailed = true;
    for (const person of head.participants ?? []) {
      const known = this.people.get(person.id);
      person.delivered = Math.max(person.delivered ?? 0, known?.delivered ?? 0);
      person.read = Math.max(person.read ?? 0, known?.read ?? 0);
    }
    this.people.clear();
    this.takeHead({ ...head, participantCount: undefined });
  }

  /** Takes over one entry; false when its number was seen before (rule 2). */
  take(entry) {
    const isNew = this.loaded
      ? entry.number >= this.floor && !this.entries.has(entry.number)
      : entry.number > this.lastNumber;
    if (!isNew) return false;
    if (this.loaded) this.#insert(entry);
    if (entry.number > this.lastNumber) this.#advance(entry);
    this.#apply(entry);
    return true;
  }

  /** Takes over a page of history that joins what is loaded. */
  takePage(entries, { hasOlder } = {}) {
    // What lies between the last one known and this page may never come here.
    if (entries[0]?.number > this.lastNumber + 1) this.urgent.isDoubtful = true;
    const recalls = [];
    for (const entry of entries) {
      if (this.entries.has(entry.number)) continue;
      this.#insert(entry);
      if (entry.number > this.lastNumber) this.#advance(entry);
      recalls.push(entry);
    }
    this.loaded = true;
    this.keepLast(this.entries.get(this.top));
    recalls.filter((entry) => entry.kind === "recalled").forEach((entry) => this.#apply(entry));
    if (hasOlder !== undefined) this.hasOlder = hasOlder;
  }

  /** Forgets the entries: they are loaded again when the thread is opened. */
  unload() {
    this.entries.clear();
    this.#absent.clear();
    this.loaded = false;
    this.floor = this.top = 0;
    this.urgent.forgetEntries();
  }

  /** The log is another one, in which the numbers known so far mean nothing; what is shown stays until the next head. */
  reset() {
    this.unload();
    this.lastNumber = this.shownPosition = this.delivered = this.read = 0;
    if (this.last) this.last = { ...this.last, number: 0 };
    this.seen.clear();
    this.urgent.reset();
    for (const person of this.people.values()) person.delivered = person.read = 0;
  }

  /** The last number before the first missing one after `floor`, or null (rule 3). */
  hole() {
    if (!this.loaded || this.entries.size + this.#absent.size >= this.lastNumber - this.floor + 1) return null;
    for (let number = this.floor + 1; number <= this.lastNumber; number += 1) {
      if (!this.entries.has(number) && !this.#absent.has(number)) return number - 1;
    }
    return null;
  }

  /** The server has nothing for these numbers, such as the time between leaving and being added again. */
  acceptHole(from, to) {
    for (let number = from; number <= to; number += 1) {
      if (!this.entries.has(number)) this.#absent.add(number);
    }
  }

  /** Whether all of these entries are here. */
  holdsAll(from, to) {
    for (let number = from; number <= to; number += 1) {
      if (!this.entries.has(number) && !this.isAbsent(number)) return false;
    }
    return true;
  }

  /** The server has no such entry for this person. */
  isAbsent(number) {
    return this.#absent.has(number);
  }

  /** Entries in the order of their numbers. */
  ordered() {
    return Array.from(this.entries.values()).sort((one, other) => one.number - other.number);
  }

  /** People who are in the thread now. */
  present() {
    return Array.from(this.people.values()).filter((person) => !person.left);
  }

  others() {
    return this.present().filter((person) => person.id !== this.me);
  }

  get isMember() {
    return !this.people.get(this.me)?.left;
  }

  get isGroup() {
    return this.participantCount > 2;
  }

  /** The subject, or the names of the others. */
  get title() {
    if (this.subject) return this.subject;
    const names = this.others().map((person) => person.name);
    const more = this.participantCount - 1 - names.length;
    if (names.length === 0) return "Only you";
    return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
  }

  nameOf(user) {
    return user === this.me ? "You" : (this.people.get(user)?.name ?? "Someone");
  }

  /** How far an own message got: the people it was for, and how many have received and read it. */
  marks(number) {
    const audience = Array.from(this.people.values()).filter(
      (person) => person.id !== this.me && wasHere(person, number),
    );
    return {
      people: audience.length,
      delivered: audience.filter((person) => person.delivered >= number).length,
      read: audience.filter((person) => person.read >= number).length,
    };
  }

  /** Takes over how far people have got; numbers never go back. */
  takeReceipts(receipts) {
    for (const { user, delivered, read } of receipts) {
      const person = this.people.get(user);
      if (person) {
        person.delivered = Math.max(person.delivered, delivered ?? 0, read ?? 0);
        person.read = Math.max(person.read, read ?? 0);
      }
      if (user === this.me) this.markRead(read ?? 0);
    }
  }

  /** This user has read up to here, on this device or another. */
  markRead(number) {
    if (number <= this.read) return false;
    this.read = number;
    for (const seen of this.seen) if (seen <= this.read) this.seen.delete(seen);
    this.urgent.readTo(this.read, this);
    return true;
  }

  /** What people see and this person has not read, as the server counts it. */
  get unread() {
    const me = this.people.get(this.me);
    if (this.detailed && me?.stays) {
      return me.stays.reduce((sum, { joined, left }) => sum + Math.max(0, (left || this.lastNumber) - Math.max(this.read, joined - 1)), 0);
    }
    const unread = Math.max(0, (me?.left || this.lastNumber) - this.read);
    return this.read === this.#away.read ? Math.max(0, unread - this.#away.count) : unread;
  }

  #advance(entry) {
    this.lastNumber = entry.number;
    this.shownPosition = Math.max(this.shownPosition, entry.position ?? 0);
    this.keepLast(entry);
    this.urgent.note(entry, this);
    if (entry.author === this.me) this.#readOwn(entry.number);
  }

  /** An own entry counts as read where everything before it was, as on the server. */
  #readOwn(number) {
    if (this.read < number - 1) return;
    this.delivered = Math.max(this.delivered, number);
    this.markRead(number);
  }

  /** Keeps an entry as the one that the inbox shows, unless it knows a later one. */
  keepLast(entry) {
    if (entry && entry.number >= (this.last?.number ?? 0)) this.last = entry;
  }

  #insert(entry) {
    this.entries.set(entry.number, entry);
    this.floor = this.floor === 0 ? entry.number : Math.min(this.floor, entry.number);
    this.top = Math.max(this.top, entry.number);
    this.#absent.delete(entry.number);
    this.urgent.note(entry, this);
  }

  /** What an entry changes beyond being a line of the thread. */
  #apply(entry) {
    switch (entry.kind) {
      case "recalled": {
        const recalled = this.entries.get(entry.of);
        this.urgent.recalled(entry, recalled);
        if (recalled) this.entries.set(entry.of, withoutText(recalled));
        if (this.last?.number === entry.of) this.last = withoutText(this.last);
        break;
      }
      case "subject":
        this.subject = entry.subject;
        break;
      case "closed":
        this.closed = true;
        break;
      case "left": {
        const person = this.people.get(entry.user);
        if (person && !person.left) {
          person.left = entry.number;
          if (person.stays?.length) person.stays.at(-1).left = entry.number;
          this.participantCount -= 1;
        }
        break;
      }
    }
  }
}

/** Whether somebody was in the thread for an entry: in any of the stays, and not for the one with which they left. */
function wasHere(person, number) {
  const stays = person.stays ?? [person];
  return stays.some(({ joined, left }) => (joined ?? 0) <= number && (!left || left > number));
}

function withoutText(message) {
  const { text, priority, ...rest } = message;
  return { ...rest, kind: "recalled-message" };
}
