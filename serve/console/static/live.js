// The live page: rows come by server-sent events, the newest on top. Nothing moves while somebody points at the table
// or works in it, while it is paused, or while the page is hidden.

const control = document.querySelector("[data-live]");
const button = control.querySelector("[data-pause]");
const rows = document.querySelector("[data-rows]");
const table = rows.closest(".wide");
const state = document.querySelector("[data-state]");
const shownText = document.querySelector("[data-shown]");
const summary = document.querySelector("[data-summary]");
const count = new Intl.NumberFormat("en");
const mostRows = 200;

let stream = null; // null while nothing comes
let opened = false; // the server has answered: from then on, nothing is missed
let paused = false;
let over = ""; // why nothing will come any more
let lastID = "";
let shown = 0, fit = 0, seen = 0;
let summed = 0; // of fit, at the last summary
let waiting = []; // batches that came while nothing may move
let pointed = false; // by a mouse

const held = () => pointed || table.contains(document.activeElement) && document.activeElement !== table;

function say() {
	const filtered = location.search.length > 1;
	const n = waiting.reduce((sum, batch) => sum + batch.rows.length, 0);
	state.textContent = over ? `Stopped: ${over}.` : paused ? "Paused." : !opened ? "Waiting for the server."
		: waiting.length ? `Held while you are at the table; ${n} rows wait.` : "Running.";
	shownText.textContent = seen ? `${count.format(shown)} shown of ${count.format(fit)}` +
		(filtered ? ` that fit, of ${count.format(seen)}` : "") + "." : "";
	button.textContent = paused ? "Run" : "Pause";
	button.disabled = Boolean(over);
}

// put adds a row, or counts it in the row of its name.
function put({ name, html }) {
	const template = document.createElement("template");
	template.innerHTML = html;
	const row = template.content.querySelector("tr");
	for (const old of rows.children) {
		if (old.dataset.name !== name) continue;
		const number = old.children[2];
		number.dataset.n = Number(number.dataset.n) + Number(row.children[2].dataset.n);
		number.textContent = count.format(number.dataset.n);
		for (const i of [0, 3, 4, 5]) old.children[i].replaceChildren(...row.children[i].childNodes);
		return add(old);
	}
	add(row);
	htmx.process(row);
}

function add(row) {
	rows.prepend(row);
	row.dispatchEvent(new CustomEvent("degas:added", { bubbles: true })); // console.js shows its times
}

function flush() {
	if (held() || paused) return say();
	for (const batch of waiting) {
		for (const row of batch.rows.toReversed()) put(row);
		shown += batch.rows.length;
	}
	waiting = [];
	while (rows.children.length > mostRows) rows.lastElementChild.remove();
	if (rows.children.length) document.querySelector("[data-empty]")?.remove();
	say();
}

function start() {
	if (stream || paused || over || document.hidden) return;
	const url = new URL(control.dataset.live, location.href);
	if (lastID) url.searchParams.set("after", lastID);
	stream = new EventSource(url);
	stream.addEventListener("message", (event) => {
		const batch = JSON.parse(event.data);
		lastID = event.lastEventId;
		fit += batch.fit;
		seen += batch.seen;
		if (batch.rows.length) waiting.push(batch);
		while (waiting.length > 40) waiting.shift(); // what waits is bounded; it is counted as not shown
		flush();
	});
	stream.addEventListener("end", (event) => {
		over = event.data;
		stop();
	});
	stream.addEventListener("open", () => {
		opened = true;
		say();
	});
	stream.addEventListener("error", () => {
		opened = false;
		if (stream?.readyState === EventSource.CLOSED) { // it was refused: too many pages, or nobody is logged in
			over = "the server refused. Reload the page to try again";
			stop();
		} else {
			state.textContent = "The connection broke; trying again.";
		}
	});
	say();
}

function stop() {
	stream?.close();
	stream = null;
	opened = false;
	say();
}

function toggle() {
	paused = !paused;
	if (paused) {
		stop();
	} else {
		flush();
		start();
	}
}

button.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
	if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || over) return;
	if (event.target.closest("input, button, select, textarea, a, summary, [contenteditable]")) return;
	event.preventDefault();
	toggle();
});
document.addEventListener("visibilitychange", () => document.hidden ? stop() : start());
table.addEventListener("pointerenter", (event) => { pointed = event.pointerType === "mouse"; });
table.addEventListener("pointerleave", () => { pointed = false; flush(); });
table.addEventListener("focusout", () => setTimeout(flush));
setInterval(() => {
	if (fit === summed) return;
	summary.textContent = `${count.format(fit - summed)} more queries, ${count.format(shown)} shown so far`;
	summed = fit;
}, 10000);
control.hidden = false;
start();
