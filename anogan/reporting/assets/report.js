"use strict";
(() => {
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  document.documentElement.classList.add("scripted");

  // The theme is that of the system until the button is pressed.
  const theme = one("#theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  showTheme();

  // The counts for every position of the slider were computed when the page was made.
  const steps = JSON.parse(one("#steps").textContent);
  const slider = one("#threshold");
  const scored = all("[data-score]");
  const setThreshold = (step) => {
    for (const line of all("[data-cut]")) {
      for (const end of ["x1", "x2"]) line.setAttribute(end, `${steps.at[step]}%`);
    }
    for (const dot of all("[data-dot]")) {
      const [across, down] = steps.points[dot.dataset.dot][step];
      dot.setAttribute("cx", `${across}%`);
      dot.setAttribute("cy", `${down}%`);
    }
    for (const place of all("[data-text]")) place.textContent = steps.text[place.dataset.text][step];
    for (const entry of scored) {
      const isFlagged = Number(entry.dataset.score) > steps.threshold[step];
      const flag = one("[data-flag]", entry);
      flag.classList.toggle("on", isFlagged);
      flag.textContent = isFlagged ? "flagged" : "not flagged";
    }
    const { threshold, flagged, share } = steps.text;
    slider.setAttribute("aria-valuetext", `${threshold[step]}: ${flagged[step]} flagged, ${share[step]}`);
  };
  slider.addEventListener("input", () => setThreshold(Number(slider.value)));
  one("#reset").addEventListener("click", () => {
    slider.value = steps.start;
    setThreshold(steps.start);
  });
  slider.value = steps.start; // a browser keeps the old position on reload
  setThreshold(steps.start);

  // A click on a header sorts by its column, numbers in descending and text in ascending order; a second click reverses.
  const headers = all("#top th");
  headers.forEach((header, column) => {
    const isText = header.dataset.kind === "text";
    header.addEventListener("click", () => {
      const natural = isText ? "ascending" : "descending";
      const other = isText ? "descending" : "ascending";
      const order = header.getAttribute("aria-sort") === natural ? other : natural;
      for (const each of headers) each.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", order);
      const key = (row) => (isText ? row.cells[column].dataset.value : Number(row.cells[column].dataset.value));
      const compare = isText ? (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true }) : (a, b) => key(a) - key(b);
      const sign = order === "ascending" ? 1 : -1;
      const body = one("#top tbody");
      body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
      one("#sorted").textContent = `Sorted by ${header.textContent.trim()}, ${order}`;
    });
  });

  // Gallery
  const gallery = one("#gallery");
  if (gallery) {
    const dialog = one("#enlarged");
    let entries = all("li", gallery);
    const homes = new Map(entries.map((entry) => [entry, entry.parentNode]));
    let shown = 0;
    const show = (index) => {
      shown = (index + entries.length) % entries.length;
      const entry = entries[shown];
      one("#enlarged-name").textContent = one(".name", entry).textContent;
      one("#enlarged-meta").textContent = `Score ${one(".meta", entry).textContent.replace(/\s+/g, " ").trim()}`;
      for (const kind of ["picture", "overlay"]) {
        const image = one(`.${kind}`, entry);
        const large = one(`#enlarged-${kind}`);
        large.src = image.src;
        large.alt = image.alt;
      }
    };
    entries.forEach((entry) =>
      one(".enlarge", entry).addEventListener("click", () => {
        show(entries.indexOf(entry));
        dialog.showModal();
      }),
    );
    dialog.addEventListener("click", (event) => {
      const step = event.target.dataset.move;
      if (step === "close" || event.target === dialog) dialog.close();
      else if (step) show(shown + Number(step));
    });
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) show(shown + step);
    });
    dialog.addEventListener("close", () => one(".enlarge", entries[shown]).focus());
    const order = one("#order");
    order.value = "group"; // a browser keeps the old choice on reload
    order.addEventListener("change", () => {
      const score = (entry) => Number(entry.dataset.score);
      const distance = (entry) => Math.abs(score(entry) - steps.threshold[slider.value]);
      const compare = {
        high: (a, b) => score(b) - score(a),
        near: (a, b) => distance(a) - distance(b),
        name: (a, b) => one(".name", a).textContent.localeCompare(one(".name", b).textContent, undefined, { numeric: true }),
      }[order.value];
      const [first] = homes.values();
      for (const entry of compare ? [...homes.keys()].sort(compare) : homes.keys()) {
        (compare ? first : homes.get(entry)).append(entry);
      }
      entries = all("li", gallery);
      for (const group of all(".group", gallery)) {
        group.hidden = !one("li", group);
        one("h3", group).hidden = Boolean(compare);
      }
    });
    for (const choice of all("[name=view]")) {
      choice.addEventListener("change", () => gallery.classList.toggle("pictures", choice.value === "picture"));
    }
  }
})();
