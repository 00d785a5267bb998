// Runs in the messenger page: plays thousands of short lives of a thread, in which the server's answers, its live frames and
// pages of history reach the page in every order in which they can, and compares what the page says with the truth.
//
// arguments: the seed, how many lives, and the callback that takes the result: null, or what was wrong.

const [firstSeed, lives, done] = arguments;
let seed = firstSeed;

function random(below) {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * below);
}

/** A thread as the server has it; `frames` are the live frames that are still on their way to the page. */
class Server {
  entries = [];
  read = 0;
  frames = [];

  say() {
    this.#append({ kind: "message", author: random(4) === 0 ? "me" : "other", text: "x", priority: random(3) === 0 ? "urgent" : "normal" });
  }

  takeBack() {
    const messages = this.entries.filter((entry) => entry.kind === "message");
    if (messages.length === 0) return;
    const { number, author, position } = messages[random(messages.length)];
    this.entries[number - 1] = { number, position, author, kind: "recalled-message", at: 1 };
    this.#append({ kind: "recalled", author, of: number });
  }

  /** On another device. */
  readSome() {
    const read = random(this.entries.length + 1);
    if (read <= this.read) return;
    this.read = read;
    this.frames.push({ receipts: [{ user: "me", read }] });
  }

  urgent() {
    return this.entries.filter((entry) => entry.priority === "urgent" && entry.author !== "me" && entry.number > this.read);
  }

  head() {
    const { length } = this.entries;
    return {
      id: "1", lastNumber: length, lastShownPosition: length, delivered: length, read: this.read, last: this.entries.at(-1),
      urgentUnread: this.urgent().length, firstUnreadUrgent: this.urgent()[0]?.number, participants: [{ id: "me" }, { id: "other" }],
    };
  }

  page(before, limit) {
    return this.entries.slice(Math.max(0, before - 1 - limit), before - 1).map((entry) => ({ ...entry }));
  }

  #append(content) {
    const number = this.entries.length + 1;
    const entry = { number, position: number, at: 1, ...content };
    this.entries.push(entry);
    if (entry.author === "me" && this.read === number - 1) this.read = number;
    this.frames.push({ entry: { ...entry } });
  }
}

function take(frame, thread) {
  if (frame?.entry) thread.take(frame.entry);
  else if (frame) thread.takeReceipts(frame.receipts);
}

function load(server, thread) {
  if (thread.loaded && !thread.hasOlder) return;
  const page = server.page(thread.loaded ? thread.floor : Infinity, random(6) + 1);
  thread.takePage(page, { hasOlder: page[0]?.number > 1 });
}

function live(Thread) {
  const server = new Server();
  for (let count = random(12) + 1; count > 0; count -= 1) random(6) === 0 ? server.takeBack() : server.say();
  if (server.entries.length === 0) return null;
  server.read = Math.max(server.read, random(server.entries.length + 1));
  server.frames = [];
  const thread = new Thread("me", server.head());
  const steps = [
    () => server.say(), () => server.say(), () => server.takeBack(), () => server.readSome(),
    () => take(server.frames.shift(), thread), () => thread.takeDetails(server.head()), () => load(server, thread),
    () => random(4) === 0 && thread.unload(),
  ];
  for (let count = 0; count < 40; count += 1) steps[random(steps.length)]();
  for (const frame of server.frames.splice(0)) take(frame, thread);
  if (thread.loaded && thread.hole() !== null) return null; // Mended by the store, which asks for what is missing.
  const wasDoubtful = thread.urgent.isDoubtful;
  if (wasDoubtful) thread.takeDetails(server.head());
  const said = [thread.urgent.isDoubtful, thread.urgent.count, thread.unread, thread.last.number];
  const truth = [false, server.urgent().length, server.entries.length - server.read, server.entries.length];
  return String(said) === String(truth) ? null : `in doubt, urgent, unread, last: ${said} instead of ${truth} (asked again: ${wasDoubtful})`;
}

import("/thread.js").then(({ Thread }) => {
  for (let life = 0; life < lives; life += 1) {
    const wrong = live(Thread);
    if (wrong) return done(`life ${life}: ${wrong}`);
  }
  done(null);
}).catch((error) => done(String(error)));
