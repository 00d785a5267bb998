// Who is logged in on this browser, and where that is kept.
//
// Without "Keep me logged in on this device" everything lives in sessionStorage: it is gone with the tab. With it,
// localStorage. Logging out removes every key of ours from both.

const sessionKey = "asm.session";
const prefix = "asm.";

export class Session {
  constructor(values, storage) {
    Object.assign(this, values);
    this.storage = storage;
  }

  /** The session of this tab, or the one kept on this device; null when there is none or it has run out. */
  static load() {
    for (const storage of [sessionStorage, localStorage]) {
      const values = parse(storage.getItem(sessionKey));
      if (!values) continue;
      if (!values.expiresAt || values.expiresAt > Date.now()) return new Session(values, storage);
      storage.removeItem(sessionKey);
    }
    return null;
  }

  /** Keeps what `POST /v1/sessions` answered. Unsent messages of anybody else are removed first. */
  static begin(answer, keep) {
    const { token, user, customer, device, expiresAt } = answer;
    const storage = keep ? localStorage : sessionStorage;
    for (const other of [sessionStorage, localStorage]) {
      removeKeys(other, (key) => key !== `${prefix}outbox.${user.id}` && !key.startsWith(`${prefix}outbox.${user.id}.`));
    }
    const values = { token, user, customer, device, expiresAt };
    storage.setItem(sessionKey, JSON.stringify(values));
    return new Session(values, storage);
  }

  /** Forgets the token only: unsent messages wait for the same person to log in again. */
  expire() {
    this.storage.removeItem(sessionKey);
  }

  /** Forgets everything that this site ever kept in this browser. */
  static forgetEverything() {
    for (const storage of [sessionStorage, localStorage]) removeKeys(storage, () => true);
  }

  /** Calls back when another tab logged this device out. */
  onEndedElsewhere(callback) {
    addEventListener("storage", (event) => {
      if (event.storageArea === this.storage && event.key === sessionKey && event.newValue === null) callback();
    });
  }
}

function removeKeys(storage, matches) {
  for (const key of Object.keys(storage)) {
    if (key.startsWith(prefix) && matches(key)) storage.removeItem(key);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
