// What a person has seen of the open conversation. Only this may become `read`: the author of a message is told so, and in
// a hospital acts on it.
//
// A message was seen when it stayed on screen for `seenMilliseconds`, in a window in front: as a whole or, where it
// fills the screen, with its end. A long text that is collapsed has not been seen to its end.

import { byId } from "./dom.js";

/** Long enough for an eye to find a message and begin to read; what is scrolled past in less was not seen. */
const seenMilliseconds = 1_000;
/** How often messages on screen are looked at while some of them have not been seen. */
const lookMilliseconds = 250;
/** Higher than this part of the screen, a message need not fit on it as a whole. */
const largePart = 0.75;
/** Edges are not drawn on whole pixels. */
export const slackPixels = 2;

export class Reading {
  #screen;
  #onSeen;
  #observer;
  /** Rows that touch the screen and have not been seen, with the moment since when they are in sight. */
  #near = new Map();
  #timer = 0;
  #looked = 0;

  /** `onSeen(numbers)` is told which messages have been seen now. */
  constructor(screen, onSeen) {
    this.#screen = screen;
    this.#onSeen = onSeen;
    this.#observer = new IntersectionObserver((changes) => this.#moved(changes), { root: screen });
    for (const event of ["focus", "blur"]) addEventListener(event, () => this.#look());
    document.addEventListener("visibilitychange", () => this.#look());
    byId("dialog").addEventListener("close", () => this.#look());
  }

  watch(row) {
    this.#observer.observe(row);
  }

  clear() {
    this.#observer.disconnect();
    this.#near.clear();
  }

  #moved(changes) {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) this.#near.delete(target);
      else if (!this.#near.has(target)) this.#near.set(target, null);
    }
    this.#look();
  }

  #look() {
    clearTimeout(this.#timer);
    const now = performance.now();
    // A device that slept between two looks showed nothing meanwhile.
    const slept = now - this.#looked > 4 * lookMilliseconds;
    this.#looked = now;
    if (!isInFront()) {
      for (const row of this.#near.keys()) this.#near.set(row, null);
      return;
    }
    const screen = this.#screen.getBoundingClientRect();
    const seen = [];
    for (const [row, since] of this.#near) {
      if (!isInSight(row, screen)) this.#near.set(row, null);
      else if (since === null || slept) this.#near.set(row, now);
      else if (now - since >= seenMilliseconds) seen.push(row);
    }
    for (const row of seen) {
      this.#observer.unobserve(row);
      this.#near.delete(row);
    }
    if (this.#near.size > 0) this.#timer = setTimeout(() => this.#look(), lookMilliseconds);
    if (seen.length > 0) this.#onSeen(seen.map((row) => Number(row.dataset.number)));
  }
}

/** Whether a person can be looking at the conversation: nothing covers it, and the window has the keyboard. */
export function isInFront() {
  return document.visibilityState === "visible" && document.hasFocus() && !byId("dialog").open;
}

function isInSight(row, screen) {
  if (row.querySelector(".show-all[aria-expanded='false']")) return false;
  const box = contentBox(row);
  const showsEnd = box.bottom <= screen.bottom + slackPixels && box.bottom >= screen.top;
  return showsEnd && (box.top >= screen.top - slackPixels || isLarge(box, screen));
}

/** Where a line's message is, without the labels above it. */
export function contentBox(row) {
  return (row.lastElementChild ?? row).getBoundingClientRect();
}

/** Whether a message is too high to be on screen as a whole. */
export function isLarge(box, screen) {
  return box.height > screen.height * largePart;
}
