// REST of the client protocol (docs/client-protocol.md, section 2).

import { uuid7 } from "./uuid.js";

const requestLimitMilliseconds = 15_000;
/** How often a request is repeated that was not accepted or whose outcome is unknown; with the same client id this cannot happen twice. */
const repeatLimit = 4;
const repeatPauseMilliseconds = 400;

/** What the server answered instead of a result: a stable code and a sentence that can be shown. */
export class Refusal extends Error {
  constructor(code, message, retryAfterMs) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export class API {
  /** `onUnauthenticated` is called once when the server no longer accepts the token. */
  constructor(token, onUnauthenticated) {
    this.token = token;
    this.onUnauthenticated = onUnauthenticated;
  }

  static logIn(body) {
    return new API(null, () => {}).request("POST", "/v1/sessions", body, { once: true });
  }

  logOut() {
    return this.request("DELETE", "/v1/sessions/current", undefined, { once: true });
  }

  inbox(before, limit = 50) {
    return this.request("GET", `/v1/threads?${query({ before, limit })}`);
  }

  thread(id) {
    return this.request("GET", `/v1/threads/${id}`);
  }

  /** A page of entries; a smaller one where so many would be too large for one answer. */
  async history(id, { before, after, limit = 100 }) {
    try {
      return await this.request("GET", `/v1/threads/${id}/entries?${query({ before, after, limit })}`);
    } catch (refusal) {
      if (refusal.code !== "too-large" || limit === 1) throw refusal;
      return this.history(id, { before, after, limit: Math.ceil(limit / 4) });
    }
  }

  messageDetails(id, number) {
    return this.request("GET", `/v1/threads/${id}/messages/${number}`);
  }

  findUsers(search, limit = 30) {
    return this.request("GET", `/v1/users?${query({ search, limit })}`);
  }

  createThread(clientId, subject, participants) {
    return this.request("POST", "/v1/threads", { clientId, subject, participants });
  }

  recall(id, number) {
    return this.request("POST", `/v1/threads/${id}/messages/${number}/recall`, { clientId: uuid7() });
  }

  addParticipants(id, users) {
    return this.request("POST", `/v1/threads/${id}/participants`, { clientId: uuid7(), users });
  }

  leave(id) {
    return this.request("POST", `/v1/threads/${id}/leave`, { clientId: uuid7() });
  }

  /** One request; repeated with the same body while it was not accepted or the outcome is unknown, unless `once`. */
  async request(method, path, body, { once = false } = {}) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.attempt(method, path, body);
      } catch (error) {
        const canRepeat = error.code === "unavailable" || error.code === "too-many-requests";
        if (once || !canRepeat || attempt >= repeatLimit) throw error;
        const pause = error.retryAfterMs ?? repeatPauseMilliseconds * 2 ** attempt * Math.random();
        await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 5_000)));
      }
    }
  }

  async attempt(method, path, body) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(requestLimitMilliseconds),
      });
    } catch {
      throw new Refusal("unavailable", "The server cannot be reached. Check your connection and try again.");
    }
    if (response.status === 204) return undefined;
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const refusal = refusalFrom(response, answer);
    if (refusal.code === "unauthenticated" && this.token) this.onUnauthenticated();
    throw refusal;
  }
}

/** Also for answers that are not ours, such as a load balancer's 502. */
function refusalFrom(response, answer) {
  const error = answer?.error;
  if (error?.code) return new Refusal(error.code, error.message, error.retryAfterMs);
  if ([502, 503, 504].includes(response.status)) {
    return new Refusal("unavailable", "The service is not available at the moment. Please try again shortly.");
  }
  return new Refusal("internal-error", `The server answered with an error (${response.status}).`);
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return new URLSearchParams(given).toString();
}
