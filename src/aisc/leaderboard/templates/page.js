"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // Theme: the system's until the reader chooses; a choice is remembered where the browser lets a local file remember.
  const toggle = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("aisc-theme", value);
      return localStorage.getItem("aisc-theme");
    } catch {
      return null;
    }
  };
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const name = () => {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  const choice = remembered();
  if (choice === "dark" || choice === "light") root.dataset.theme = choice;
  toggle.hidden = false;
  name();
  system.addEventListener("change", name);
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered(root.dataset.theme);
    name();
  });

  // Short digests become buttons that copy the whole one.
  for (const code of document.querySelectorAll("code.digest")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "digest";
    button.title = `Copy ${code.dataset.copy}`;
    code.replaceWith(button);
    code.className = "";
    button.append(code);
    const short = code.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.dataset.copy);
        code.textContent = "copied";
      } catch {
        code.textContent = code.dataset.copy;
        getSelection().selectAllChildren(code);
        return;
      }
      setTimeout(() => (code.textContent = short), 1200);
    });
  }

  const table = document.querySelector("table.ranking");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const sortBy = (index, direction) => {
    const head = heads[index];
    const sign = direction === "ascending" ? 1 : -1;
    const numeric = head.dataset.kind === "number";
    const value = (row) => row.cells[index].dataset.value;
    const place = (row) => Number(row.dataset.place);
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if ((x === "") !== (y === "")) return x === "" ? 1 : -1; // what has no value stays last either way
      const order = numeric ? Number(x) - Number(y) : collator.compare(x, y);
      return order ? sign * order : place(a) - place(b);
    });
    body.append(...rows);
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    table.dataset.sorted = `${head.dataset.key}-${direction}`;
  };

  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.firstChild.textContent.trim();
    head.firstChild.replaceWith(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortBy(index, now === first ? other : first);
    });
  });

  const holder = document.querySelector(".holder");
  new ResizeObserver(() => {
    holder.classList.remove("fits");
    holder.classList.toggle("fits", table.scrollWidth <= holder.clientWidth);
  }).observe(holder);

  const tools = document.querySelector(".tools");
  const found = tools.querySelector(".found");
  tools.hidden = false;
  tools.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.normalize("NFKC").toLocaleLowerCase().trim();
    let shown = 0;
    for (const row of rows) {
      const team = row.cells[1].dataset.value.normalize("NFKC").toLocaleLowerCase();
      row.hidden = !team.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    found.textContent = wanted ? `${shown} of ${rows.length} teams` : "";
  });
})();
