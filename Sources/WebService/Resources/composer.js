// Where a message is written. Drafts stay with their conversation until sent, in memory only.

import { byId } from "./dom.js";
import { byteCount } from "./format.js";

const textLimitBytes = 65_536;
/** From here on, the room left is shown. */
const warnBytes = 60_000;

const form = byId("composer");
const text = byId("text");
const urgent = byId("urgent");
const error = byId("composer-error");

export class Composer {
  #drafts = new Map();
  #thread = null;
  #send;

  /** `send(thread, text, priority)` takes a message and answers false when it cannot. */
  constructor(send) {
    this.#send = send;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    text.onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || !hasKeyboard()) return;
      event.preventDefault();
      this.#submit();
    };
    text.oninput = () => this.#changed();
    urgent.onclick = () => this.#setUrgent(urgent.getAttribute("aria-pressed") === "false");
  }

  /** Goes to another conversation, with its draft. */
  open(thread) {
    if (this.#thread) this.#drafts.set(this.#thread, text.value);
    this.#thread = thread;
    text.value = this.#drafts.get(thread) ?? "";
    this.#setUrgent(false);
    this.#changed();
  }

  /** Puts a text that was not sent before whatever is being written now. */
  takeBack(earlier, priority) {
    text.value = text.value.trim() ? `${earlier}\n\n${text.value}` : earlier;
    this.#setUrgent(priority === "urgent" || urgent.getAttribute("aria-pressed") === "true");
    this.#changed();
    this.focus();
  }

  focus() {
    text.focus({ preventScroll: true });
  }

  #submit() {
    const value = text.value.trim();
    if (!value || byteCount(value) > textLimitBytes) return this.focus();
    const priority = urgent.getAttribute("aria-pressed") === "true" ? "urgent" : "normal";
    if (!this.#send(this.#thread, value, priority)) {
      return this.#complain("Too many messages are waiting to be sent. Please wait until you are connected again.");
    }
    text.value = "";
    this.#drafts.delete(this.#thread);
    this.#setUrgent(false);
    this.#changed();
    this.focus();
  }

  #setUrgent(isUrgent) {
    urgent.setAttribute("aria-pressed", String(isUrgent));
    form.classList.toggle("urgent", isUrgent);
    text.placeholder = isUrgent ? "Urgent message" : "Message";
  }

  #changed() {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight + 2}px`;
    byId("send").disabled = text.value.trim() === "";
    // A UTF-16 unit is at most three bytes of UTF-8: short texts need not be counted.
    const size = text.value.length > warnBytes / 3 ? byteCount(text.value) : 0;
    const over = size - textLimitBytes;
    if (over > 0) this.#complain(`Too long by ${over.toLocaleString()} bytes. Please shorten it or send it in parts.`);
    else this.#complain(size > warnBytes ? `${(-over).toLocaleString()} bytes left.` : "");
  }

  #complain(sentence) {
    error.textContent = sentence;
    error.hidden = !sentence;
  }
}

/** Enter sends where there is a keyboard; on a phone it begins a new line. */
export function hasKeyboard() {
  return !matchMedia("(pointer: coarse)").matches;
}
