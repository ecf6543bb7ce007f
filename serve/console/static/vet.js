// The keys of the vet page. A key presses a button of the page, so that all of it also works without keys.

const say = (text) => document.dispatchEvent(new CustomEvent("degas:say", { detail: text }));
const undone = []; // rows in the order in which they were decided
let current = null;

const rows = () => [...document.querySelectorAll("#queue [data-row]")];
const open = (row) => !row.hasAttribute("data-done");
const all = () => document.querySelectorAll("#queue input[type=checkbox]:checked");

// go puts the focus on a row.
function go(row) {
	if (!row) return;
	current = row;
	row.focus({ preventScroll: true });
	const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
	row.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
}

// here is the row that has the focus, else the last one that had it, else the first one that is open.
function here() {
	const row = document.activeElement?.closest("#queue [data-row]");
	if (row) return row;
	if (current?.isConnected) return current;
	return rows().find(open) ?? rows()[0];
}

// next is the next open row after one, else the first open one.
function next(row) {
	const list = rows();
	const at = list.indexOf(row);
	return list.slice(at + 1).find(open) ?? list.find(open);
}

function step(by) {
	const list = rows();
	const row = document.activeElement?.closest("#queue [data-row]");
	go(row ? list[Math.max(0, Math.min(list.length - 1, list.indexOf(row) + by))] : here());
}

// count keeps the progress as it is, without another look at the events.
function count(by) {
	const today = document.querySelector("[data-today]");
	const left = document.querySelector("[data-left]");
	if (!today || !left) return;
	today.dataset.today = Number(today.dataset.today) + by;
	left.dataset.left = Math.max(0, Number(left.dataset.left) - by);
	today.textContent = Number(today.dataset.today).toLocaleString("en");
	left.textContent = Number(left.dataset.left).toLocaleString("en");
	const sum = Number(today.dataset.today) + Number(left.dataset.left);
	document.querySelector(".progress progress").value = sum ? 100 * today.dataset.today / sum : 0;
}

function selected() {
	const out = document.getElementById("selected");
	if (out) out.textContent = all().length;
}

function press(key) {
	if (all().length) {
		sessionStorage.setItem("vet-focus", "1"); // the page comes again
		document.querySelector(`[data-all="${key}"]`)?.click();
		return;
	}
	const row = here();
	const button = row?.querySelector(`[data-key="${key}"]`);
	if (!button) return say("This row has nothing to decide");
	current = row;
	button.click();
}

function undo() {
	while (undone.length) {
		const row = undone.pop();
		const button = row.isConnected && row.querySelector(".decided button");
		if (button) return button.click();
	}
	const notice = document.querySelector(".notice.done button");
	if (notice) return notice.click();
	say("There is nothing to undo here");
}

function help() {
	const button = document.getElementById("help");
	const text = document.getElementById("keyhelp");
	if (!text) return;
	text.hidden = !text.hidden;
	button.setAttribute("aria-expanded", String(!text.hidden));
}

const keys = {
	a: () => press("a"), b: () => press("b"), u: () => press("u"), z: undo, "?": help,
	j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
	x: () => {
		const row = here();
		row?.querySelector("input[type=checkbox]")?.click();
		go(row); // so that the next key starts from it
	},
	n: () => document.querySelector("#vet [name=note]")?.focus(),
	Enter: () => here()?.querySelector("a.name")?.click(),
};

// Keys can be switched off (WCAG 2.1.4), in this browser.
let on = localStorage.getItem("vet-keys") !== "off";
function showKeys() {
	const button = document.getElementById("keys");
	if (!button) return;
	button.hidden = document.getElementById("help").hidden = false;
	button.setAttribute("aria-pressed", String(on));
	button.textContent = on ? "Keys on" : "Keys off";
	for (const hint of document.querySelectorAll("#queue kbd")) hint.hidden = !on;
}

document.addEventListener("click", (event) => {
	if (event.target.closest("#keys")) {
		on = !on;
		localStorage.setItem("vet-keys", on ? "on" : "off");
		showKeys();
	} else if (event.target.closest("#help")) help();
});
document.addEventListener("change", selected);
document.addEventListener("keydown", (event) => {
	const at = event.target;
	if (event.key === "Escape" && at.closest?.("#vet, .filters")) return go(here());
	if (event.key === "Enter" && at.matches?.("#vet input")) { // it would send the form without a name
		event.preventDefault();
		return go(here());
	}
	if (!on || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
	if (event.repeat && !/^(j|k|Arrow.*)$/.test(event.key)) return; // a key that is held decides once
	if (at.isContentEditable || at.closest?.("textarea, select, dialog")) return;
	if (at.tagName === "INPUT" && at.type !== "checkbox") return;
	if (event.key === "Enter" && !at.matches?.("[data-row]")) return;
	if (event.key.startsWith("Arrow") && !at.closest?.("#queue")) return; // else they scroll
	const act = keys[event.key];
	if (!act || !document.getElementById("queue")) return;
	event.preventDefault();
	act();
});

document.addEventListener("focusin", (event) => {
	const row = event.target.closest("#queue [data-row]");
	if (row) current = row;
});

document.addEventListener("htmx:afterSwap", showKeys);
document.addEventListener("htmx:afterSettle", (event) => {
	const row = event.detail.elt.closest?.("#queue [data-row]");
	if (!row) return selected();
	if (row.querySelector(".decided")) {
		if (open(row)) count(1);
		row.setAttribute("data-done", "");
		undone.push(row);
		const box = row.querySelector("input[type=checkbox]");
		if (box) box.checked = false;
		go(next(row) ?? row);
	} else {
		row.removeAttribute("data-done");
		count(-1);
		go(row);
	}
	selected();
});

showKeys();
selected();
if (sessionStorage.getItem("vet-focus")) {
	sessionStorage.removeItem("vet-focus");
	go(rows().find(open));
}
