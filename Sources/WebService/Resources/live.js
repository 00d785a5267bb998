// The live connection (docs/client-protocol.md, section 3): one WebSocket, kept alive, resumed at a cursor.
//
// Events: "state" when `state` changed; "frame" (detail: the frame) for everything the store and outbox need;
// "closed" (detail: the code) when the server or the network closed the connection.

const backoffFirstMilliseconds = 250;
const backoffMostMilliseconds = 30_000;
const silenceMilliseconds = 20_000;
const pongMilliseconds = 5_000;
const steadyMilliseconds = 1_000;
const welcomeMilliseconds = 10_000;
const drainingMostMilliseconds = 10_000;

/** A random time in 0…min(30 s, 0.25 s · 2ⁿ): exponential backoff with full jitter. */
export function backoff(attempt, random = Math.random()) {
  return random * Math.min(backoffMostMilliseconds, backoffFirstMilliseconds * 2 ** attempt);
}

/** Which log a cursor belongs to; it changes when the database has lost entries. */
export function epochOf(cursor) {
  return cursor?.split(".")[0];
}

export class Live extends EventTarget {
  /** "idle" → "connecting" → "live" → "waiting" → "connecting" …; "ended" after `bye unauthenticated`. */
  state = "idle";
  /** How far this page has followed the log. */
  cursor = undefined;
  /** Whether this connection follows another log than the one before. */
  isOtherLog = false;

  #token;
  #socket = null;
  #attempts = 0;
  /** When the session was welcomed; never, before that. */
  #liveSince = Infinity;
  #reconnectTimer = 0;
  #watchTimer = 0;
  #opened = 0;

  constructor(token) {
    super();
    this.#token = token;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#hurry();
    });
  }

  /** Connects and stays connected, from `cursor` on. */
  start(cursor) {
    this.cursor = cursor;
    this.#connect();
  }

  stop() {
    clearTimeout(this.#reconnectTimer);
    this.#drop();
    this.#enter("ended");
  }

  /** Sends a frame; false when there is no live session to send it on. */
  send(frame) {
    if (this.state !== "live" || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Gives this connection up and makes another. */
  reconnect(pause = 0) {
    this.#drop();
    if (this.state === "ended") return;
    this.#enter("waiting");
    clearTimeout(this.#reconnectTimer);
    this.#reconnectTimer = setTimeout(() => this.#connect(), pause);
  }

  #connect() {
    if (this.state === "connecting" || this.state === "live" || this.state === "ended") return;
    this.#enter("connecting");
    const address = new URL("/v1/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#opened += 1;
      document.documentElement.dataset.connections = String(this.#opened);
      socket.send(JSON.stringify({ kind: "hello", token: this.#token, cursor: this.cursor }));
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = ({ code }) => {
      this.dispatchEvent(new CustomEvent("closed", { detail: code }));
      this.#retry();
    };
    this.#watch(welcomeMilliseconds, () => this.#retry());
  }

  #receive(data) {
    const frame = parse(data);
    if (!frame) return this.#retry();
    if (this.state === "live") this.#watchSilence();
    switch (frame.kind) {
      case "welcome":
        this.#liveSince = performance.now();
        this.isOtherLog = frame.otherLog === true || epochOf(frame.cursor) !== epochOf(this.cursor);
        this.#enter("live");
        this.#watchSilence();
        break;
      case "draining":
        this.#moveWithin(Math.min(frame.reconnectAfterMs ?? 0, drainingMostMilliseconds));
        break;
      case "bye":
        if (frame.code === "unauthenticated") this.stop();
        else this.#retry(frame.retryAfterMs);
        break;
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
    if (frame.cursor && this.#moves(frame.kind)) this.cursor = frame.cursor;
  }

  /** This server is going: connects anew at a random moment, so that not everybody comes at once. */
  #moveWithin(milliseconds) {
    const socket = this.#socket;
    setTimeout(() => {
      if (this.#socket === socket) this.reconnect();
    }, Math.random() * milliseconds);
  }

  /** Only these move the cursor, and only after what they carry has been taken over. */
  #moves(kind) {
    return kind === "welcome" || kind === "entries" || kind === "receipts" || kind === "resync";
  }

  #watchSilence() {
    this.#watch(silenceMilliseconds, () => this.#probe());
  }

  #probe() {
    if (!this.send({ kind: "ping" })) return this.#retry();
    this.#watch(pongMilliseconds, () => this.#retry());
  }

  #watch(milliseconds, work) {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(work, milliseconds);
  }

  #retry(atLeast = 0) {
    // Who is welcomed and sent away at once comes back slower each time.
    if (performance.now() - this.#liveSince > steadyMilliseconds) this.#attempts = 0;
    this.#liveSince = Infinity;
    const pause = Math.max(atLeast, backoff(this.#attempts));
    this.#attempts += 1;
    this.reconnect(pause);
  }

  /** The network is back or somebody is looking: no reason to wait any longer. */
  #hurry() {
    if (this.state === "waiting") this.reconnect();
    else if (this.state === "live") this.#probe();
  }

  #drop() {
    clearTimeout(this.#watchTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    document.documentElement.dataset.live = state;
    this.dispatchEvent(new Event("state"));
  }
}

function parse(data) {
  try {
    const frame = JSON.parse(data);
    return typeof frame?.kind === "string" ? frame : null;
  } catch {
    return null;
  }
}
