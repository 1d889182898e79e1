"use strict";
// Enlarging pictures and filtering prompts; the page is whole without it.
document.documentElement.classList.add("js");
const box = document.querySelector("dialog");
const shots = () => [...document.querySelectorAll(".shot")].filter((shot) => shot.checkVisibility());
let current = null;

function enlarge(shot) {
  current = shot;
  const image = shot.querySelector("img").cloneNode();
  const caption = document.createElement("div");
  const title = document.createElement("p");
  title.textContent = shot.dataset.title;
  caption.append(title, ...[...shot.parentElement.querySelectorAll(".caption")].map((part) => part.cloneNode(true)));
  box.querySelector("figure").replaceChildren(image, caption);
  if (!box.open) box.showModal();
}

function leaf(step) {
  const all = shots();
  enlarge(all[(all.indexOf(current) + step + all.length) % all.length]);
}

document.addEventListener("click", (event) => {
  const shot = event.target.closest(".shot");
  if (shot) enlarge(shot);
});
if (box) {
  box.addEventListener("click", (event) => {
    if (!event.target.closest("figure")) box.close();
  });
  box.addEventListener("close", () => current && current.focus());
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") leaf(1);
    if (event.key === "ArrowLeft") leaf(-1);
  });
}

const filters = document.querySelector(".filters");
if (filters) {
  const prompts = [...document.querySelectorAll(".prompt")].map((card) => ({
    card,
    text: card.querySelector("header").textContent.toLowerCase(),
  }));
  const apply = () => {
    const group = filters.querySelector("input[type=radio]:checked");
    const wanted = group && group.value ? group.value : null;
    const words = filters.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { card, text } of prompts) {
      const fits = (wanted === null || card.dataset.group === wanted) && words.every((word) => text.includes(word));
      card.hidden = !fits;
      shown += fits;
    }
    const all = shown === prompts.length;
    filters.querySelector("output").textContent = all ? "" : `${shown} of ${prompts.length} match`;
    document.querySelector(".nomatch").hidden = shown > 0;
  };
  filters.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  apply(); // a browser that goes back restores what was typed
}
