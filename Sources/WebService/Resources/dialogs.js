// What opens over the conversation: a new one, its people, and the details of a message.

import { avatar, byId, debounced, make, toast } from "./dom.js";
import { clock, counted, dayKey, moment, summary } from "./format.js";
import { PeoplePicker } from "./people-picker.js";
import { uuid7 } from "./uuid.js";

const subjectLimitBytes = 512;
/** New receipts are looked up at most this often while details are open. */
const refreshPauseMilliseconds = 300;

const dialog = byId("dialog");
const body = byId("dialog-body");
byId("dialog-close").onclick = () => dialog.close();
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => body.replaceChildren());

function show(title, ...content) {
  byId("dialog-title").textContent = title;
  body.replaceChildren(...content.filter((node) => node !== null));
  if (!dialog.open) dialog.showModal();
}

/** A button that cannot be pressed twice, and shows why its work was refused. */
function action(label, style, work) {
  const button = make("button", { class: style, type: "button" }, label);
  button.onclick = async () => {
    button.disabled = true;
    try {
      await work();
    } catch (refusal) {
      toast(refusal.message);
    } finally {
      button.disabled = false;
    }
  };
  return button;
}

/** Starts a conversation; calls `onCreated(id)`. */
export function newThreadDialog(api, me, onCreated) {
  const clientId = { value: uuid7() };
  const subject = make("input", { id: "subject", maxLength: subjectLimitBytes / 2, dir: "auto", autocomplete: "off" });
  const start = action("Start conversation", "primary wide", async () => {
    const { thread } = await api.createThread(clientId.value, subject.value.trim() || undefined, [...picker.chosen.keys()]);
    dialog.close();
    onCreated(thread.id);
  });
  // Another choice is another request: only the same one may be repeated under the same client id.
  const renew = () => {
    clientId.value = uuid7();
    start.disabled = picker.chosen.size === 0;
  };
  const picker = new PeoplePicker(api, [me], renew);
  subject.oninput = renew;
  start.disabled = true;
  show(
    "New conversation",
    picker.element,
    make("label", { htmlFor: "subject" }, "Subject ", make("span", { class: "quiet small" }, "(optional)")),
    subject,
    start,
  );
  picker.input.focus();
}

/** Who is in a conversation; adding people; leaving. */
export function peopleDialog(api, store, thread) {
  const rows = thread.present().map((person) =>
    make(
      "li",
      { class: "person" },
      avatar(person.name, person.id),
      make(
        "span",
        { class: "who" },
        make("span", { dir: "auto" }, person.id === thread.me ? `${person.name} (you)` : person.name),
        make("span", { class: "quiet small" }, person.login ?? ""),
      ),
    ),
  );
  const canChange = thread.isMember && !thread.closed;
  show(
    counted(thread.participantCount, "person", "people"),
    make("ul", { class: "people" }, ...rows),
    canChange ? action("Add people", "primary wide", () => addPeopleDialog(api, store, thread)) : null,
    canChange ? action("Leave conversation", "danger wide", () => leaveDialog(api, store, thread)) : null,
  );
}

function addPeopleDialog(api, store, thread) {
  const add = action("Add", "primary wide", async () => {
    const users = [...picker.chosen.keys()];
    store.takeOwn(thread.id, { kind: "added", users }, await api.addParticipants(thread.id, users));
    dialog.close();
  });
  const picker = new PeoplePicker(api, thread.present().map(({ id }) => id), () => (add.disabled = picker.chosen.size === 0));
  add.disabled = true;
  show("Add people", make("p", { class: "quiet small" }, "They see messages from now on, not earlier ones."), picker.element, add);
  picker.input.focus();
}

function leaveDialog(api, store, thread) {
  show(
    "Leave this conversation?",
    make("p", {}, "You will not get its new messages. Others see that you left."),
    action("Leave", "danger wide", async () => {
      store.takeOwn(thread.id, { kind: "left", user: thread.me }, await api.leave(thread.id));
      dialog.close();
    }),
    action("Stay", "plain wide", async () => dialog.close()),
  );
}

/** Who got an own message, and when; taking it back. */
export async function detailsDialog(api, store, thread, entry) {
  const list = make("ul", { class: "people" });
  const refresh = async () => {
    const { receipts } = await api.messageDetails(thread.id, entry.number);
    list.replaceChildren(...receipts.filter(({ user }) => user !== thread.me).map(receiptRow));
  };
  show(
    "Message details",
    make("blockquote", { class: "quiet", dir: "auto" }, summary(entry, thread, 240)),
    make("p", { class: "quiet small" }, `Sent ${moment(entry.at)}`),
    list,
    action("Take back message", "danger wide", async () => {
      store.takeOwn(thread.id, { kind: "recalled", of: entry.number }, await api.recall(thread.id, entry.number));
      dialog.close();
    }),
  );
  const refreshSoon = debounced(refreshPauseMilliseconds, () => refresh().catch(() => {}));
  const changed = ({ detail: ids }) => {
    if (ids.has(thread.id)) refreshSoon();
  };
  store.addEventListener("changed", changed);
  dialog.addEventListener("close", () => store.removeEventListener("changed", changed), { once: true });
  await refresh().catch((refusal) => list.replaceChildren(make("li", { class: "error" }, refusal.message)));
}

function receiptRow({ user, name, delivered, deliveredAt, read, readAt }) {
  const at = (time) => (dayKey(time) === dayKey(Date.now()) ? clock(time) : moment(time));
  // Whether it was read is always known; when may be too long ago to be found.
  const when = (time) => (time ? ` ${at(time)}` : "");
  const state =
    read || readAt
      ? `Read${when(readAt)}${deliveredAt ? ` · delivered ${at(deliveredAt)}` : ""}`
      : delivered || deliveredAt
        ? `Delivered${when(deliveredAt)}`
        : "Not delivered yet";
  const names = make("span", { class: "who" }, make("span", { dir: "auto" }, name), make("span", { class: "quiet small" }, state));
  return make("li", { class: "person", data: { user } }, avatar(name, user), names);
}

/** Asks before unsent messages are thrown away; resolves with the answer. */
export function confirmLogOut(unsent) {
  return new Promise((resolve) => {
    const answer = (value) => async () => {
      resolve(value);
      dialog.close();
    };
    show(
      "Log out now?",
      make("p", {}, `${counted(unsent, "message has", "messages have")} not been sent yet and will be lost.`),
      action("Log out and delete", "danger wide", answer(true)),
      action("Stay logged in", "primary wide", answer(false)),
    );
    dialog.addEventListener("close", () => resolve(false), { once: true });
  });
}
