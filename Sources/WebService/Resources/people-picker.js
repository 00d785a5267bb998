// Choosing people: search, tick, and see whom you have chosen.

import { avatar, debounced, make } from "./dom.js";

const searchPauseMilliseconds = 200;

export class PeoplePicker {
  /** People chosen so far, by id. */
  chosen = new Map();
  #api;
  #excluded;
  #search = 0;

  /** People in `excluded` (ids) are not offered; `onChange` is called when the choice changed. */
  constructor(api, excluded, onChange) {
    this.#api = api;
    this.#excluded = new Set(excluded);
    this.onChange = onChange;
    this.input = make("input", { id: "people-search", type: "search", autocomplete: "off", maxLength: 100, placeholder: "Name or user name" });
    this.input.oninput = debounced(searchPauseMilliseconds, () => this.#find(this.input.value.trim()));
    this.input.onkeydown = (event) => this.#keyed(event);
    this.chips = make("ul", { class: "chips", aria: { label: "Chosen people" } });
    this.results = make("ul", { class: "people" });
    this.hint = make("p", { class: "quiet small", role: "status" }, "Type at least one letter of a name.");
    this.element = make(
      "div",
      { class: "picker" },
      make("label", { htmlFor: "people-search" }, "People"),
      this.chips,
      this.input,
      this.hint,
      this.results,
    );
    this.#renderChips();
  }

  async #find(text) {
    const search = (this.#search += 1);
    if (!text) return this.#show([], "Type at least one letter of a name.");
    try {
      const { users } = await this.#api.findUsers(text);
      if (search !== this.#search) return;
      const offered = users.filter((user) => !this.#excluded.has(user.id));
      this.#show(offered, offered.length === 0 ? "Nobody found." : "");
    } catch (refusal) {
      if (search === this.#search) this.#show([], refusal.message);
    }
  }

  #show(users, hint) {
    this.hint.textContent = hint;
    this.hint.hidden = !hint;
    this.results.replaceChildren(...users.map((user) => this.#row(user)));
  }

  #row(user) {
    const box = make("input", { type: "checkbox", checked: this.chosen.has(user.id), data: { user: user.id, login: user.login } });
    box.onchange = () => this.#choose(user, box.checked);
    const names = make("span", { class: "who" }, make("span", { dir: "auto" }, user.name), make("span", { class: "quiet small" }, user.login));
    return make("li", {}, make("label", { class: "person" }, avatar(user.name, user.id), names, box));
  }

  #choose(user, isChosen) {
    if (isChosen) this.chosen.set(user.id, user);
    else this.chosen.delete(user.id);
    const box = this.results.querySelector(`input[data-user="${CSS.escape(user.id)}"]`);
    if (box) box.checked = isChosen;
    this.#renderChips();
    this.onChange();
  }

  #renderChips() {
    this.chips.hidden = this.chosen.size === 0;
    this.chips.replaceChildren(
      ...Array.from(this.chosen.values(), (user) =>
        make("li", {}, make(
          "button",
          { class: "chip", type: "button", aria: { label: `Remove ${user.name}` }, on: { click: () => { this.#choose(user, false); this.input.focus(); } } },
          user.name,
          " ×",
        )),
      ),
    );
  }

  /** Enter takes the first person found; the arrow goes to the list. */
  #keyed(event) {
    const first = this.results.querySelector("input");
    if (event.key === "Enter" && first && !event.isComposing) {
      event.preventDefault();
      if (!first.checked) first.click();
      this.input.select();
    } else if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    }
  }
}
