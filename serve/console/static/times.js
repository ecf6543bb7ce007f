// Fields for times: the server has UTC, people get the zone of their browser.

const two = (n) => String(n).padStart(2, "0");
const local = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T` +
	`${two(at.getHours())}:${two(at.getMinutes())}`;

for (const form of document.querySelectorAll("form[data-times]")) {
	const fields = form.querySelectorAll("input[type=datetime-local]");
	for (const field of fields) {
		if (field.value) field.value = local(new Date(field.value + "Z"));
		const text = field.closest("label").querySelector("span");
		text.textContent = text.textContent.replace(" (UTC)", "");
	}
	form.addEventListener("formdata", (event) => {
		for (const field of fields) {
			const at = new Date(field.value);
			if (field.value && !isNaN(at)) event.formData.set(field.name, at.toISOString().slice(0, 16) + "Z");
		}
		for (const [key, value] of [...event.formData]) { // short addresses
			if (value === "") event.formData.delete(key);
		}
	});
}
