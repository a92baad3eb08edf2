/* What holds the page together: theme, key, and asking for the figures again and again. */

import { forget, get, hasKey, keep, keysNeeded, Refused } from "./api.js";
import { $ } from "./dom.js";
import * as figures from "./figures.js";
import * as recent from "./recent.js";
import * as trial from "./trial.js";

const EVERY_MS = 5000;
const THEMES = ["system", "light", "dark"];

/* Light, dark, or as the system has it. */

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("#theme").textContent = `Theme: ${theme}`;
  try { localStorage.setItem("listwise-theme", theme); } catch { /* it holds until the page is left */ }
}

function startThemes() {
  let theme = "system";
  try { theme = localStorage.getItem("listwise-theme") ?? theme; } catch { /* likewise */ }
  setTheme(THEMES.includes(theme) ? theme : "system");
  $("#theme").hidden = false;
  $("#theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "system";
    setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  });
}

/* The key */

function lock(why = "") {
  $("#open").hidden = true;
  $("#locked").hidden = false;
  $("#who").hidden = true;
  $("#key-wrong").textContent = why;
  $("#key").focus();
}

function unlock(account) {
  $("#locked").hidden = true;
  $("#open").hidden = false;
  $("#who").hidden = account === null;
  $("#who b").textContent = account ?? "";
}

function startKeys() {
  $("#unlock").addEventListener("submit", async (event) => {
    event.preventDefault();
    keep($("#key").value.trim());
    $("#key").value = "";
    await look();
    if (hasKey()) $("#main").focus();
  });
  $("#forget").addEventListener("click", () => {
    trial.stop();
    forget();
    location.reload();  // nothing of what the key opened is left on the page
  });
}

/* The figures */

let rankings = null;
let looking = null;

/** Ask once, even if it is wanted twice. */
function look() {
  looking ??= lookOnce().finally(() => { looking = null; });
  return looking;
}

async function lookOnce() {
  if (!hasKey()) return;
  try {
    const status = await get("/status");
    unlock(status.account);
    figures.show(status);
    trial.offer(status.policies);
    if (status.traffic.rankings !== rankings) {
      recent.show(await get("/recent"), status);
      rankings = status.traffic.rankings;
    }
    $("#freshness").textContent = `Figures of ${new Date(status.at).toLocaleTimeString()}.`;
    trouble("");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) {
      forget();
      lock("This key opens nothing here: it is mistyped, or was revoked.");
    } else trouble(`The figures could not be had: ${error.message}. Trying again.`);
  }
}

function trouble(text) {
  $("#trouble").hidden = !text;
  if ($("#trouble").textContent !== text) $("#trouble").textContent = text;
}

startThemes();
startKeys();
trial.start(async () => {
  await looking;  // which may not know of it yet
  await look();
});
if (keysNeeded && !hasKey()) lock();
else look();
setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
