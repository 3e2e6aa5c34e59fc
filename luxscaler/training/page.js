// The sliders of a training's report: each moves the border between base and trained network.
for (const slider of document.querySelectorAll("input[type=range]")) {
  const pair = slider.previousElementSibling;
  const move = () => pair.style.setProperty("--split", `${slider.value}%`);
  slider.addEventListener("input", move);
  move();
}
