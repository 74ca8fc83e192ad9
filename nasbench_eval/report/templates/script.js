// Sorting, filtering, the theme, downloads as plain csv, and the tables behind figures. Without it the page still says
// everything: tables and figures stand as they are, and the numbers download as csv.gz.
"use strict";

function start() {
  themeSwitch();
  openAll();
  document.querySelectorAll(".table").forEach(sortAndFilter);
  document.querySelectorAll("a.csv").forEach((link) => link.addEventListener("click", download));
  document.querySelectorAll("details.data").forEach((box) => box.addEventListener("toggle", showNumbers));
  document.querySelectorAll(".copy").forEach(copyButton);
  addEventListener("hashchange", openTarget);
  openTarget();
}

function themeSwitch() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  try { if (localStorage.nbevalTheme) root.dataset.theme = localStorage.nbevalTheme; } catch { /* no storage here */ }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.nbevalTheme = root.dataset.theme; } catch { /* no storage here */ }
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
  button.hidden = false;
}

// For searching and printing: what is open is printed.
function openAll() {
  const button = document.getElementById("open-all");
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    document.querySelectorAll("details:not(.data)").forEach((box) => { box.open = open; });
    button.textContent = open ? "Close all" : "Open all";
  });
  button.hidden = false;
}

function sortAndFilter(box) {
  const table = box.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  if (rows.length > 1) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => sortBy(table, head, column));
    });
  }
  const label = box.querySelector(".filter");
  if (!label) return;
  const count = box.querySelector(".count"), input = label.querySelector("input");
  label.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
  });
}

function sortBy(table, head, column) {
  const number = head.classList.contains("number"), before = head.getAttribute("aria-sort");
  // The first click on numbers shows the largest first.
  const down = before ? before === "ascending" : number;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.cells[column], given = cell.dataset.key;
    if (number) return given === undefined ? null : Number(given);
    return given ?? cell.textContent.trim();
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = number ? a - b : a.localeCompare(b, "en", { numeric: true });
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

async function csvOf(link) {
  const packed = Uint8Array.from(atob(link.href.slice(link.href.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function download(event) {
  event.preventDefault();
  const link = event.currentTarget, plain = document.createElement("a");
  plain.href = URL.createObjectURL(new Blob([await csvOf(link)], { type: "text/csv" }));
  plain.download = link.download.replace(/\.gz$/, "");
  plain.click();
  setTimeout(() => URL.revokeObjectURL(plain.href), 10000);
}

function parseCsv(text) {
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i], row = rows[rows.length - 1];
    if (letter === '"') {
      if (quoted && text[i + 1] === '"') { row[row.length - 1] += '"'; i++; } else quoted = !quoted;
    } else if (letter === "," && !quoted) row.push("");
    else if (letter === "\n" && !quoted) rows.push([""]);
    else row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}

const MOST_ROWS = 200;

async function showNumbers(event) {
  const box = event.currentTarget;
  if (!box.open || box.querySelector("table")) return;
  const [heads, ...rows] = parseCsv(await csvOf(box.querySelector("a.csv")));
  const differs = heads.map((_, column) => rows.some((row) => row[column] !== rows[0][column]) || rows.length === 1);
  const same = heads.map((head, column) => [head, rows[0][column]]).filter(([, value], column) => !differs[column] && value);
  const table = document.createElement("table"), put = (row, tag, text) => {
    const cell = row.appendChild(document.createElement(tag));
    cell.textContent = text;
    return cell;
  };
  const title = box.closest("figure").querySelector("h3").textContent;
  const caption = table.createCaption();
  caption.textContent = rows.length > MOST_ROWS ? `${title}: the first ${MOST_ROWS} rows` : title;
  const top = table.createTHead().insertRow();
  heads.forEach((head, column) => { if (differs[column]) put(top, "th", head).scope = "col"; });
  const body = table.createTBody();
  rows.slice(0, MOST_ROWS).forEach((values) => {
    const row = body.insertRow();
    values.forEach((value, column) => { if (differs[column]) put(row, "td", /^-?\d+\.\d{5,}$/.test(value) ? Number(value).toFixed(4) : value); });
  });
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Numbers: ${title}`);
  scroll.append(table);
  box.append(scroll);
  if (same.length) {
    const line = document.createElement("p");
    line.textContent = `The same in all rows: ${same.map(([head, value]) => `${head} ${value}`).join("; ")}.`;
    box.append(line);
  }
}

function copyButton(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// A link to a closed part opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  if (target) target.scrollIntoView();
}

start();
