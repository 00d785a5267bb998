// The log-in form.

import { API } from "./api.js";
import { byId } from "./dom.js";
import { Session } from "./session.js";

/** Shows the form; resolves with the session once somebody has logged in. `reason` says why it is shown again. */
export function logIn(reason) {
  const form = byId("login-form");
  const error = byId("login-error");
  const button = byId("login-button");
  const show = (sentence) => {
    error.textContent = sentence;
    error.hidden = !sentence;
  };
  byId("login").hidden = false;
  show(reason ?? "");
  byId("login-name").focus();
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      show("");
      try {
        const keep = byId("login-keep").checked;
        const answer = await API.logIn(credentials());
        form.reset();
        byId("login").hidden = true;
        resolve(Session.begin(answer, keep));
      } catch (refusal) {
        show(refusal.message);
        if (refusal.code === "bad-credentials" || refusal.code === "bad-request") byId("login-more").open = true;
        byId("login-password").select();
      } finally {
        button.disabled = false;
      }
    };
  });

  function credentials() {
    const customer = byId("login-customer").value.trim();
    return {
      login: byId("login-name").value.trim(),
      password: byId("login-password").value,
      customer: customer || undefined,
      device: { name: deviceName() },
    };
  }
}

/** What the list of this person's devices calls this browser. */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = [["Edg/", "Edge"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
  const system = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"],
    ["Mac OS", "Mac"], ["Linux", "Linux"]];
  const find = (list, otherwise) => list.find(([mark]) => agent.includes(mark))?.[1] ?? otherwise;
  return `${find(browser, "Browser")} on ${find(system, "a computer")}`;
}
