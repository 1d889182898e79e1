"use strict";
// Enlarging, sorting and filtering pictures; the page is whole without it.
document.documentElement.classList.add("js");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A picture is enlarged with those of its row, which are the same prompt and seed in other arms.
const box = document.querySelector("dialog");
const rowOf = (shot) => {
  const cell = shot.parentElement;
  return cell.dataset.row ? all(`[data-row="${cell.dataset.row}"] > .shot`) : [shot];
};
let current = null;

function enlarge(shot) {
  const row = rowOf(shot);
  current = row[0];
  box.querySelector(".title").textContent = shot.dataset.title;
  box.querySelector(".figures").replaceChildren(
    ...row.map((one) => {
      const figure = document.createElement("figure");
      const captions = all(".caption, .answers", one.parentElement).filter((part) => !part.closest(".heat") || one.closest(".heat"));
      if (one.parentElement.dataset.arm) {
        const name = document.createElement("p");
        name.className = "armname";
        name.textContent = one.parentElement.dataset.arm;
        figure.append(name);
      }
      figure.append(one.querySelector("img").cloneNode(), ...captions.map((part) => part.cloneNode(true)));
      all("details", figure).forEach((details) => (details.open = true));
      return figure;
    }),
  );
  box.style.setProperty("--figures", row.length);
  const stops = places();
  box.querySelector(".place").textContent = `${stops.indexOf(current) + 1} of ${stops.length}`;
  if (!box.open) box.showModal();
}

const places = () => all(".shot").filter((shot) => shot.checkVisibility() && rowOf(shot)[0] === shot);

function go(step) {
  const stops = places();
  enlarge(stops[(stops.indexOf(current) + step + stops.length) % stops.length]);
}

if (box) {
  document.addEventListener("click", (event) => {
    const shot = event.target.closest(".shot");
    if (shot) enlarge(shot);
  });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) go(Number(button.dataset.step));
    else if (event.target === box) box.close();
  });
  box.addEventListener("close", () => current && current.focus());
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
}

all(".copy").forEach((button) =>
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre");
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C";
    }
  }),
);

const filters = document.querySelector(".filters");
if (filters) {
  const prompts = all(".prompt").map((card) => ({
    card,
    text: card.querySelector("header").textContent.toLowerCase(),
    ranks: JSON.parse(card.dataset.ranks),
  }));
  // Of a prompt: the number by which it comes earlier the greater that is; those without one come last.
  const keys = {
    change: ([change]) => change === null ? null : Math.abs(change),
    gain: ([change]) => change,
    loss: ([change]) => change === null ? null : -change,
    worst: ([, worst]) => -worst,
    best: ([, worst]) => worst,
  };
  const sort = () => {
    if (!filters.elements.order) return;
    const reward = filters.elements.reward.value;
    const key = keys[filters.elements.order.value];
    const rank = ({ ranks }) => {
      const value = ranks[reward] ? key(ranks[reward]) : null;
      return value === null ? -Infinity : value;
    };
    const sorted = [...prompts].sort((a, b) => (rank(b) > rank(a)) - (rank(b) < rank(a)));
    sorted[0].card.parentElement.append(...sorted.map(({ card }) => card));
  };
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
    const whole = shown === prompts.length;
    filters.querySelector("output").textContent = whole ? "" : `${shown} of ${prompts.length} match`;
    document.querySelector(".nomatch").hidden = shown > 0;
  };
  filters.addEventListener("input", (event) => {
    if (event.target.matches("select")) sort();
    else apply();
  });
  filters.addEventListener("submit", (event) => event.preventDefault());
  sort(); // a browser that goes back restores what was chosen and typed
  apply();
}
