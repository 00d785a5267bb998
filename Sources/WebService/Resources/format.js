// How times, sizes and events read.

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDate = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relativeDay = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const dayMilliseconds = 86_400_000;

const encoder = new TextEncoder();

export const clock = (at) => time.format(at);
export const moment = (at) => dateAndTime.format(at);

/** The length of a text as the server counts it: in bytes of UTF-8. */
export const byteCount = (text) => encoder.encode(text).length;

/** For inbox rows: the time today, the weekday this week, the date before. */
export function when(at) {
  const days = daysAgo(at);
  if (days <= 0) return clock(at);
  if (days < 7) return days === 1 ? capitalized(relativeDay.format(-1, "day")) : weekday.format(at);
  return shortDate.format(at);
}

/** For the lines between days of a thread. */
export function dayName(at) {
  const days = daysAgo(at);
  return days === 0 || days === 1 ? capitalized(relativeDay.format(-days, "day")) : longDate.format(at);
}

/** Tells days apart. */
export const dayKey = (at) => new Date(at).toDateString();

function daysAgo(at) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(at)) / dayMilliseconds);
}

function capitalized(text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

/** A count with its noun: `1 person`, `3 people`. */
export function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

/** What happened, for every kind of entry but messages; empty for a kind that this page does not know. */
export function eventSentence(entry, thread) {
  const author = thread.nameOf(entry.author);
  const people = (users) => names(users.filter((user) => user !== entry.author).map((user) => objectName(user, thread)));
  switch (entry.kind) {
    case "created":
      return `${author} started the conversation`;
    case "added":
      return `${author} added ${people(entry.users ?? [])}`;
    case "left":
      return entry.author && entry.author !== entry.user
        ? `${author} removed ${objectName(entry.user, thread)}`
        : `${thread.nameOf(entry.user)} left the conversation`;
    case "recalled":
      return `${author} took back a message`;
    case "subject":
      return `${author} changed the subject to “${entry.subject}”`;
    case "closed":
      return `${author} closed the conversation`;
    default:
      return "";
  }
}

function objectName(user, thread) {
  return user === thread.me ? "you" : thread.nameOf(user);
}

function names(list) {
  return list.length > 4
    ? `${list.slice(0, 3).join(", ")} and ${list.length - 3} more`
    : new Intl.ListFormat(undefined, { type: "conjunction" }).format(list);
}

/** One line that says what an entry is, for the inbox and for screen readers. */
export function summary(entry, thread, limit = 140) {
  if (!entry) return "";
  if (entry.kind === "recalled-message") return "Message taken back";
  if (entry.kind !== "message") return eventSentence(entry, thread);
  const text = entry.text.slice(0, limit * 2).replace(/\s+/g, " ").trim();
  return beginning(text, limit);
}

/** At most `limit` UTF-16 units of a text, never cutting a character that a person sees as one. */
export function beginning(text, limit) {
  if (text.length <= limit) return text;
  let end = 0;
  const from = Math.max(0, limit - 200);
  const start = from === 0 ? 0 : text.lastIndexOf(" ", from) + 1;
  for (const { index, segment } of new Intl.Segmenter().segment(text.slice(start, limit + 200))) {
    if (start + index + segment.length > limit) break;
    end = start + index + segment.length;
  }
  return `${text.slice(0, end || limit)}…`;
}
