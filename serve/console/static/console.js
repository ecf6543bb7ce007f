// What all pages share: the theme, times in the browser's zone, and what is said after a decision.

const root = document.documentElement;

// say tells people, and screen readers, what happened.
export function say(text) {
	const said = document.getElementById("said");
	said.textContent = "";
	requestAnimationFrame(() => { said.textContent = text; });
	clearTimeout(say.timer);
	say.timer = setTimeout(() => { said.textContent = ""; }, 8000);
}

document.addEventListener("degas:say", (event) => say(event.detail)); // of a page's own script

// showTimes writes the times below a node in the browser's zone; UTC stays on hover.
export function showTimes(node) {
	for (const time of node.querySelectorAll("time[datetime]:not([title])")) {
		time.title = time.textContent;
		const at = new Date(time.dateTime);
		const two = (n) => String(n).padStart(2, "0");
		const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
		const today = new Date().toDateString() === at.toDateString();
		time.textContent = `${today && time.closest("td") ? "" : day + " "}${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
	}
}

// The theme is auto, light or dark, and stays in this browser.
const themes = ["auto", "light", "dark"];
function showTheme(theme) {
	if (theme === "auto") delete root.dataset.theme;
	else root.dataset.theme = theme;
	for (const button of document.querySelectorAll("[data-theme-button]")) button.textContent = "Theme: " + theme;
	document.dispatchEvent(new CustomEvent("degas:theme"));
}
let theme = localStorage.getItem("theme");
if (!themes.includes(theme)) theme = "auto";
showTheme(theme);
document.addEventListener("click", (event) => {
	if (!event.target.closest("[data-theme-button]")) return;
	theme = themes[(themes.indexOf(theme) + 1) % themes.length];
	localStorage.setItem("theme", theme);
	showTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showTheme(theme));

showTimes(document);
document.addEventListener("degas:added", (event) => showTimes(event.target));
document.addEventListener("htmx:afterSettle", (event) => {
	showTimes(event.target);
	const node = event.detail.elt;
	const said = node.dataset?.said ?? node.querySelector?.("[data-said]")?.dataset.said;
	if (said) {
		say(said);
		node.querySelector("button")?.focus({ preventScroll: true });
	}
});
document.addEventListener("htmx:responseError", (event) => {
	say(event.detail.xhr.responseText.slice(0, 300) || "The server did not answer");
});
document.addEventListener("htmx:sendError", () => say("The server does not answer"));
