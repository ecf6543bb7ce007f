// Selects all decisions of the page.
const button = document.getElementById("all");
if (button) {
	button.hidden = false;
	button.addEventListener("click", () => {
		const boxes = [...document.querySelectorAll('input[name=id][form=bulk]')];
		const on = boxes.some((box) => !box.checked);
		for (const box of boxes) box.checked = on;
		button.textContent = on ? "Select none" : "Select all on this page";
	});
}
