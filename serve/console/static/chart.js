// Stacked charts. An element with data-chart has its data in a JSON script: step in seconds, times in seconds since
// 1970 (UTC), series from the bottom up with name, colour (N of --series-N) and values, and, if a time can be chosen by
// dragging, zoom: the address to which from and to are added. The same numbers are in a table beside it.

const count = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact" });
const two = (n) => String(n).padStart(2, "0");

// colour resolves a variable of the style sheet, such as light-dark(…), to what a canvas takes.
function colour(box, name) {
	const probe = document.createElement("i");
	probe.style.color = `var(${name})`;
	box.append(probe);
	const out = getComputedStyle(probe).color;
	probe.remove();
	return out;
}

// Days are those of UTC, as the server counts them; shorter steps are shown in the browser's zone.
function parts(seconds, utc) {
	const at = new Date(seconds * 1000);
	return utc ? [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes()]
		: [at.getFullYear(), at.getMonth(), at.getDate(), at.getHours(), at.getMinutes()];
}
function day(seconds, utc) {
	const [year, month, date] = parts(seconds, utc);
	return `${year}-${two(month + 1)}-${two(date)}`;
}
function clock(seconds, utc) {
	const [, , , hour, minute] = parts(seconds, utc);
	return `${two(hour)}:${two(minute)}`;
}

function draw(box) {
	const data = JSON.parse(box.querySelector("script").textContent);
	const utc = data.step >= 86400;
	const layers = [];
	const sums = new Array(data.times.length).fill(0);
	for (const s of data.series) {
		s.values.forEach((n, i) => { sums[i] += n; });
		layers.push({ label: s.name, values: sums.slice(), colour: colour(box, `--series-${s.colour}`) });
	}
	layers.reverse(); // the highest is drawn first, and the others before it
	const soft = colour(box, "--soft");
	const grid = { stroke: colour(box, "--line"), width: 1 };
	const at = box.parentElement.querySelector("[data-at]");
	const first = data.times[0];
	const last = data.times.at(-1) + data.step;
	const axis = { stroke: soft, grid, ticks: grid, font: "12px system-ui, sans-serif" };
	const choose = (chart) => {
		if (!data.zoom || chart.select.width < 4) return;
		const edge = (x, round) => round(chart.posToVal(x, "x") / data.step) * data.step;
		const from = Math.max(first, edge(chart.select.left, Math.floor));
		const to = Math.min(last, edge(chart.select.left + chart.select.width, Math.ceil));
		const url = new URL(data.zoom, location.href);
		url.searchParams.set("from", new Date(from * 1000).toISOString().replace(".000", ""));
		url.searchParams.set("to", new Date(to * 1000).toISOString().replace(".000", ""));
		location.assign(url);
	};
	const point = (chart) => {
		const x = chart.cursor.left ?? -1;
		const i = x < 0 ? -1 : Math.floor((chart.posToVal(x, "x") - first) / data.step);
		if (i < 0 || i >= data.times.length) {
			at.textContent = data.zoom ? "Drag over the chart to zoom" : "";
			return;
		}
		const when = data.times[i];
		at.textContent = day(when, utc) + (utc ? "" : " " + clock(when, utc)) + ": " +
			data.series.map((s) => `${count.format(s.values[i])} ${s.name}`).join(", ");
	};
	return new uPlot({
		width: box.clientWidth, height: 208, legend: { show: false },
		cursor: { y: false, points: { show: false }, drag: { x: Boolean(data.zoom), y: false, setScale: false } },
		select: { show: Boolean(data.zoom) },
		scales: {
			x: { time: true, range: () => [first, last] },
			y: { range: (_, least, most) => [0, Math.max(1, most * 1.05)] },
		},
		axes: [
			{ ...axis, values: (_, ticks, __, ___, step) => ticks.map((x, i) => {
				if (step >= 86400) return day(x, utc).slice(5);
				const time = clock(x, utc);
				return i === 0 || time === "00:00" ? `${time}\n${day(x, utc).slice(5)}` : time;
			}) },
			{ ...axis, size: 52, values: (_, ticks) => ticks.map((x) => Number.isInteger(x) ? short.format(x) : "") },
		],
		series: [{}, ...layers.map((l) => ({
			label: l.label, fill: l.colour, stroke: l.colour, width: 0, points: { show: false },
			paths: uPlot.paths.bars({ size: [data.times.length > 200 ? 1 : 0.85, Infinity], align: 1 }),
		}))],
		hooks: { setSelect: [choose], setCursor: [point], ready: [point] },
	}, [data.times, ...layers.map((l) => l.values)], box);
}

const charts = new Map(); // by box
const sizes = new ResizeObserver((all) => {
	for (const { target } of all) {
		const chart = charts.get(target);
		if (chart && target.clientWidth !== chart.width) chart.setSize({ width: target.clientWidth, height: 208 });
	}
});

function drawAll() {
	for (const [box, chart] of charts) {
		chart.destroy();
		if (!box.isConnected) sizes.unobserve(box);
	}
	charts.clear();
	for (const box of document.querySelectorAll("[data-chart]")) {
		charts.set(box, draw(box));
		sizes.observe(box);
	}
}

drawAll();
document.addEventListener("degas:theme", drawAll);
document.addEventListener("htmx:afterSettle", (event) => {
	if (event.target.querySelector?.("[data-chart]")) drawAll();
});
