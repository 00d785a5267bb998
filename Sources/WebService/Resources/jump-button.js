// The one button that leads to what is unread and not on screen: urgent messages above first, then those below, then
// the first unread line above.

import { byId } from "./dom.js";
import { contentBox, isLarge, slackPixels } from "./reading.js";

const button = byId("jump");

export class JumpButton {
  #screen;
  #rows;
  #target = 0;

  /** `rows` holds the lines by number; `goTo(number)` shows one. */
  constructor(screen, rows, goTo) {
    this.#screen = screen;
    this.#rows = rows;
    button.onclick = () => goTo(this.#target);
  }

  hide() {
    button.hidden = true;
  }

  /** `firstUnread`: the number of the first line that is neither read nor seen, or null. */
  show(thread, firstUnread) {
    const urgent = thread.urgent.numbers().filter((number) => !thread.seen.has(number));
    const above = urgent.filter((number) => this.#side(number) < 0);
    const below = urgent.filter((number) => this.#side(number) > 0);
    const elsewhere = thread.urgent.elsewhere;
    if (above.length + elsewhere.count > 0) {
      const target = Math.min(...above, elsewhere.count > 0 ? Math.max(elsewhere.first, thread.read + 1) : Infinity);
      this.#offer(`${above.length + elsewhere.count} urgent above`, target, { isUrgent: true });
    } else if (below.length > 0) {
      this.#offer(`${below.length} urgent below`, below[0], { isUrgent: true, isBelow: true });
    } else if (firstUnread !== null && this.#side(firstUnread) < 0) {
      this.#offer("Unread above", firstUnread);
    } else {
      this.hide();
    }
  }

  #offer(words, target, { isUrgent = false, isBelow = false } = {}) {
    this.#target = target;
    button.lastElementChild.textContent = words;
    button.classList.toggle("urgent", isUrgent);
    button.classList.toggle("below", isBelow);
    button.hidden = false;
  }

  /** Where a line is: -1 above the screen, 1 below it, 0 on it; one that is cut off by an edge is beyond that edge. */
  #side(number) {
    const row = this.#rows.get(number);
    if (!row) return -1;
    const screen = this.#screen.getBoundingClientRect();
    const box = contentBox(row);
    if (isLarge(box, screen)) return box.bottom <= screen.top ? -1 : box.top >= screen.bottom ? 1 : 0;
    return box.top < screen.top - slackPixels ? -1 : box.bottom > screen.bottom + slackPixels ? 1 : 0;
  }
}
