"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const people = new Map(data.people.map((person) => [person.id, person]));
  const called = (id) => { const one = people.get(id); return one && one.name ? one.name + " (" + id + ")" : "Person " + id; };

  // ---- small things -------------------------------------------------------------------------------------------
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "style") Object.assign(element.style, value);
      else if (name.startsWith("data-") || name.startsWith("aria-")) element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }
  const two = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  function clock(s, step = 1) {
    if (data.offset !== null) {
      const at = new Date((s + data.offset) * 1000);
      const time = two(at.getUTCHours()) + ":" + two(at.getUTCMinutes()) + (step < 60 ? ":" + two(at.getUTCSeconds()) : "");
      return data.dated ? at.getUTCDate() + " " + months[at.getUTCMonth()] + " " + time : time;
    }
    const digits = step < 1 ? (step < 0.1 ? 2 : 1) : 0;
    const unit = 10 ** digits, ticks = Math.round(Math.abs(s) * unit), whole = Math.floor(ticks / unit);
    const rest = digits ? "." + String(ticks % unit).padStart(digits, "0") : "";
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    return (s < 0 ? "-" : "") + (h ? h + ":" + two(m) : m) + ":" + two(whole % 60) + rest;
  }
  const moment = (s) => clock(s, data.fine ? 0.1 : 1);
  function lasting(s) {
    if (s < 9.95) return s.toFixed(1) + " s";
    if (s < 60) return Math.round(s) + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + Math.round(s % 60) + " s";
    return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  }
  const percent = (p) => (p > 0.995 ? "over 99 %" : p < 0.005 ? "under 1 %" : Math.round(100 * p) + " %");
  function shot(id, camera) {
    const where = camera === undefined ? "[data-best]" : `[data-camera="${camera}"]`;
    const found = document.querySelector(`#card-${id} ${where} :is(img, svg)`);
    return found ? found.cloneNode(true) : make("span");
  }

  // ---- one person ---------------------------------------------------------------------------------------------
  const dialog = $("person");
  let opener = null;
  function shownIds() {
    const ids = [...document.querySelectorAll("#cards .card:not([hidden])")].map((card) => Number(card.dataset.id));
    return ids.length ? ids : [...people.keys()];
  }
  function tracks(person) {
    const [first, last] = data.span, length = Math.max(last - first, 1e-6);
    const rows = make("div", { className: "tracks" });
    for (const camera of new Set(person.visits.map((visit) => visit[0]))) {
      const line = make("div");
      for (const [at, from, to] of person.visits) {
        if (at !== camera) continue;
        const style = { left: (100 * (from - first)) / length + "%", width: (100 * (to - from)) / length + "%", background: person.colour };
        line.append(make("i", { style, title: moment(from) + " – " + moment(to) }));
      }
      rows.append(make("span", { textContent: data.cameras[camera], title: data.cameras[camera] }), line);
    }
    return rows;
  }
  function visitTable(person) {
    const head = ["camera", "from", "to", "for", "sure"].map((text) => make("th", { scope: "col", textContent: text }));
    const body = person.visits.map(([camera, from, to, sure]) =>
      make("tr", {}, ...[data.cameras[camera], moment(from), moment(to), lasting(to - from), sure === null ? "–" : percent(sure)].map((text) => make("td", { textContent: text }))));
    return make("div", { className: "scroll" }, make("table", { className: "plain" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
  }
  function alike(person) {
    return make("ul", { className: "alike" }, ...person.rivals.map(([id, chance]) =>
      make("li", {}, make("a", { href: "#person-" + id, "data-open": id }, shot(id), make("b", { textContent: called(id) }), percent(chance) + " the same"))));
  }
  function fill(person) {
    const cameras = [...new Set(person.visits.map((visit) => visit[0]))];
    const gallery = make("ul", { className: "gallery" }, ...cameras.map((camera) => make("li", {}, shot(person.id, camera), data.cameras[camera])));
    $("person-title").replaceChildren(make("i", { style: { background: person.colour } }), called(person.id));
    $("person-body").replaceChildren(gallery, make("h3", { textContent: "When" }), tracks(person), make("h3", { textContent: person.visits.length === 1 ? "One stay" : person.visits.length + " stays" }), visitTable(person));
    if (person.rivals.length) $("person-body").append(make("h3", { textContent: "Looks most like" }), alike(person));
    $("person-body").parentElement.scrollTop = 0;
    dialog.dataset.id = person.id;
  }
  function open(id) {
    const person = people.get(Number(id));
    if (!person) return;
    fill(person);
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    if (location.hash !== "#person-" + person.id) history.replaceState(null, "", "#person-" + person.id);
    pick(person.id);
  }
  function step(by) {
    const ids = shownIds(), at = ids.indexOf(Number(dialog.dataset.id));
    open(ids[(at + by + ids.length) % ids.length]);
  }
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", location.pathname + location.search);
    pick(null);
    if (opener) opener.focus({ preventScroll: true });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  $("person-before").addEventListener("click", () => step(-1));
  $("person-after").addEventListener("click", () => step(1));
  $("person-close").addEventListener("click", () => dialog.close());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.dataset.open);
  });
  function openHash() {
    const found = /^#person-(\d+)$/.exec(location.hash);
    if (found) open(found[1]);
  }
  addEventListener("hashchange", openHash);

  // ---- the cards ----------------------------------------------------------------------------------------------
  const cards = [...document.querySelectorAll("#cards .card")];
  let way = null;
  const orders = {
    id: (a, b) => a.dataset.id - b.dataset.id,
    first: (a, b) => a.dataset.first - b.dataset.first,
    long: (a, b) => b.dataset.long - a.dataset.long,
    cameras: (a, b) => b.dataset.cameras.length - a.dataset.cameras.length,
    doubt: (a, b) => a.dataset.doubt - b.dataset.doubt,
  };
  function filter() {
    const ids = $("f-id").value.match(/\d+/g), camera = $("f-camera").value, several = Number($("f-several").value);
    let shown = 0;
    for (const card of cards) {
      const seen = card.dataset.cameras.trim().split(" ");
      const fits = (!ids || ids.includes(card.dataset.id)) && (!camera || seen.includes(camera)) && seen.length >= several && (!way || way.has(card.dataset.id));
      card.hidden = !fits;
      shown += fits;
    }
    $("shown").textContent = shown + " of " + cards.length;
    $("none").hidden = shown > 0;
    $("f-way").hidden = !way;
  }
  function sort() {
    const by = orders[$("f-order").value];
    cards.sort((a, b) => by(a, b) || orders.id(a, b));
    $("cards").append(...cards);
  }
  if (cards.length) {
    $("filters").addEventListener("input", filter);
    $("f-order").addEventListener("change", sort);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", () => setTimeout(() => { way = null; filter(); sort(); }));
    for (const cell of document.querySelectorAll("[data-people]")) {
      cell.addEventListener("click", () => {
        way = new Set(cell.dataset.people.split(" "));
        $("f-way").textContent = cell.dataset.way;
        filter();
        $("people").scrollIntoView();
        $("f-reset").focus({ preventScroll: true });
      });
    }
  }

  // ---- the timeline -------------------------------------------------------------------------------------------
  const canvas = $("chart");
  let pick = () => {};
  if (canvas) pick = timeline();
  openHash();

  function timeline() {
    const [first, last] = data.span, whole = Math.max(last - first, 0.1), pad = whole * 0.01;
    const context = canvas.getContext("2d"), tip = $("tip");
    let view = [first - pad, last + pad], chosen = null, person = null, width = 0, theme = {};
    const bars = [];
    const lanes = data.cameras.map((name) => ({ name, rows: 0, top: 0 }));
    for (const one of data.people) {
      for (const [camera, from, to, sure] of one.visits) bars.push({ camera, from, to, sure, id: one.id, colour: one.colour });
    }
    for (const [camera, from, to] of data.nameless) bars.push({ camera, from, to, sure: null, id: null, colour: null });
    bars.sort((a, b) => a.from - b.from || a.camera - b.camera);
    const ends = lanes.map(() => []);
    for (const bar of bars) {
      const rows = ends[bar.camera];
      let row = rows.findIndex((end) => end < bar.from);
      if (row < 0) row = rows.push(0) - 1;
      rows[row] = bar.to + whole * 0.002;
      bar.row = row;
      lanes[bar.camera].rows = rows.length;
    }
    const rowsInAll = lanes.reduce((sum, lane) => sum + Math.max(lane.rows, 1), 0);
    const rowHeight = rowsInAll > 240 ? 4 : rowsInAll > 120 ? 7 : rowsInAll > 50 ? 12 : 20, gap = rowHeight > 8 ? 3 : 1;
    let height = 30;
    for (const lane of lanes) {
      lane.top = height + 24;
      height = lane.top + Math.max(lane.rows, 1) * (rowHeight + gap) + 12;
    }

    const x = (s) => ((s - view[0]) / (view[1] - view[0])) * width;
    const y = (bar) => lanes[bar.camera].top + bar.row * (rowHeight + gap);
    const visible = (bar) => bar.to >= view[0] && bar.from <= view[1];

    function ink(colour) {
      const n = parseInt(colour.slice(1), 16);
      return 0.299 * (n >> 16) + 0.587 * ((n >> 8) & 255) + 0.114 * (n & 255) > 140 ? "#000" : "#fff";
    }
    function readTheme() {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["card", "ink", "soft", "line", "well", "accent", "bad"]) theme[name] = style.getPropertyValue("--" + name).trim();
      theme.font = getComputedStyle(document.body).fontFamily;
    }
    function resize() {
      const scale = devicePixelRatio || 1;
      width = canvas.clientWidth;
      canvas.style.height = height + "px";
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      context.setTransform(scale, 0, 0, scale, 0, 0);
      readTheme();
      draw();
    }
    let waiting = false;
    function draw() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; paint(); });
    }
    function axis() {
      const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];
      const room = ((view[1] - view[0]) / width) * (data.dated ? 110 : 70);
      const least = data.offset === null ? 0.1 : 1;
      const step = steps.find((one) => one >= room && one >= least) || 604800;
      context.font = "12px " + theme.font;
      context.textAlign = "center";
      const shift = data.offset || 0;
      let free = 0;
      for (let s = Math.ceil((view[0] + shift) / step) * step - shift; s <= view[1]; s += step) {
        context.fillStyle = theme.line;
        context.fillRect(Math.round(x(s)), 24, 1, height);
        context.fillStyle = theme.soft;
        const label = clock(s, step), half = context.measureText(label).width / 2 + 2;
        const at = Math.min(Math.max(x(s), half), width - half);
        if (at - half < free) continue;
        context.fillText(label, at, 17);
        free = at + half + 8;
      }
    }
    function paintLanes() {
      lanes.forEach((lane, number) => {
        const tall = Math.max(lane.rows, 1) * (rowHeight + gap) + 6;
        context.fillStyle = theme.well;
        for (const [camera, from, to] of data.on) if (camera === number) context.fillRect(x(from), lane.top - 4, x(to) - x(from), tall);
        context.fillStyle = theme.bad;
        for (const [camera, at, event] of data.down) {
          if (camera !== number) continue;
          const back = data.down.find((other) => other[0] === number && other[2] === "camera_up" && other[1] >= at);
          if (event !== "camera_up") context.fillRect(x(at), lane.top - 4, Math.max(2, x(back ? back[1] : last) - x(at)), 3);
        }
      });
    }
    function paintNames() {
      context.textAlign = "left";
      context.font = "600 13px " + theme.font;
      lanes.forEach((lane) => {
        context.fillStyle = theme.card;
        context.fillRect(8, lane.top - 21, context.measureText(lane.name).width + 8, 16);
        context.fillStyle = theme.ink;
        context.fillText(lane.name, 12, lane.top - 8);
      });
    }
    function paintBar(bar) {
      const left = Math.max(x(bar.from), -9), wide = Math.max(Math.min(x(bar.to), width + 9) - left, 2.5), top = y(bar);
      context.globalAlpha = person !== null && person !== bar.id ? 0.18 : 1;
      context.globalAlpha *= 0.86; // softer than in the videos, where it has to stand out from the picture
      context.fillStyle = bar.colour || theme.soft;
      context.beginPath();
      context.roundRect(left, top, wide, rowHeight, Math.min(5, wide / 2, rowHeight / 3));
      context.fill();
      context.globalAlpha = Math.min(1, context.globalAlpha / 0.86);
      context.lineWidth = bar === chosen ? 3 : 1;
      context.strokeStyle = bar === chosen ? theme.accent : "#0004";
      context.stroke();
      const label = bar.id === null ? "" : bar.sure !== null && bar.sure < 0.9 ? bar.id + "?" : String(bar.id);
      if (rowHeight >= 12 && label && wide > 7 * label.length + 8) {
        context.fillStyle = ink(bar.colour);
        context.font = "600 " + Math.min(12, rowHeight - 2) + "px " + theme.font;
        context.textAlign = "left";
        context.fillText(label, Math.max(left, 0) + 5, top + rowHeight / 2 + 4.3);
      }
      context.globalAlpha = 1;
    }
    function paint() {
      context.clearRect(0, 0, width, height);
      paintLanes();
      axis();
      for (const bar of bars) if (visible(bar)) paintBar(bar);
      paintNames();
      canvas.dataset.painted = bars.filter(visible).length;
    }

    function zoom(factor, at) {
      const middle = at === undefined ? (view[0] + view[1]) / 2 : at;
      const least = Math.min(1, whole), most = whole + 2 * pad;
      const size = Math.min(Math.max((view[1] - view[0]) * factor, least), most);
      const share = (middle - view[0]) / (view[1] - view[0]);
      move(middle - share * size, size);
    }
    function move(start, size = view[1] - view[0]) {
      const from = Math.min(Math.max(start, first - pad), Math.max(last + pad - size, first - pad));
      view = [from, from + size];
      draw();
    }
    function place(event) {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }
    function barAt(px, py) {
      return bars.find((bar) => visible(bar) && py >= y(bar) - 1 && py <= y(bar) + rowHeight + 1 && px >= x(bar.from) - 3 && px <= Math.max(x(bar.to), x(bar.from) + 3) + 2);
    }
    function describe(bar) {
      const who = bar.id === null ? "Somebody without a name" : called(bar.id);
      const sure = bar.sure === null ? "" : ", " + percent(bar.sure) + " sure";
      return [who, data.cameras[bar.camera] + ", " + moment(bar.from) + " – " + moment(bar.to) + sure];
    }
    function hover(bar, event) {
      tip.hidden = !bar;
      canvas.style.cursor = bar ? "pointer" : "grab";
      if (!bar) return;
      const [who, where] = describe(bar);
      tip.replaceChildren(make("div", {}, make("b", { textContent: who }), where));
      if (bar.id !== null) tip.prepend(shot(bar.id, bar.camera));
      tip.style.left = Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
      tip.style.top = Math.max(8, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
    }
    function choose(bar) {
      chosen = bar;
      const size = view[1] - view[0];
      if (bar.from < view[0] || bar.from > view[1]) move(bar.from - size / 4);
      $("chart-status").textContent = describe(bar).join(": ");
      draw();
    }
    function walk(by) {
      const at = chosen ? bars.indexOf(chosen) : by > 0 ? -1 : bars.length;
      choose(bars[Math.min(Math.max(at + by, 0), bars.length - 1)]);
    }
    function change(by) {
      const camera = (chosen ? chosen.camera : by > 0 ? -1 : lanes.length) + by;
      const there = bars.filter((bar) => bar.camera === camera), near = chosen ? chosen.from : view[0];
      if (there.length) choose(there.reduce((a, b) => (Math.abs(b.from - near) < Math.abs(a.from - near) ? b : a)));
    }

    const keys = {
      ArrowRight: () => walk(1), ArrowLeft: () => walk(-1), ArrowDown: () => change(1), ArrowUp: () => change(-1),
      Home: () => choose(bars[0]), End: () => choose(bars[bars.length - 1]),
      Enter: () => chosen && open(chosen.id), " ": () => chosen && open(chosen.id),
      "+": () => zoom(0.6, chosen ? chosen.from : undefined), "=": () => zoom(0.6, chosen ? chosen.from : undefined),
      "-": () => zoom(1 / 0.6), 0: () => zoom(1e9),
      Escape: () => { chosen = null; $("chart-status").textContent = ""; draw(); },
    };
    canvas.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey || !bars.length) return;
      event.preventDefault();
      keys[event.key]();
    });
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(Math.exp(event.deltaY * 0.004), view[0] + (place(event)[0] / width) * (view[1] - view[0]));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        move(view[0] + (event.deltaX / width) * (view[1] - view[0]));
      }
    }, { passive: false });

    const pointers = new Map();
    let grip = null;
    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event.clientX);
      grip = { at: event.clientX, view: [...view], moved: false, spread: spread() };
      canvas.setPointerCapture(event.pointerId);
    });
    function spread() {
      const xs = [...pointers.values()];
      return xs.length === 2 ? Math.max(Math.abs(xs[0] - xs[1]), 20) : 0;
    }
    canvas.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return void hover(barAt(...place(event)), event);
      pointers.set(event.pointerId, event.clientX);
      const size = grip.view[1] - grip.view[0];
      if (grip.spread) {
        const middle = (grip.view[0] + grip.view[1]) / 2;
        view = [...grip.view];
        zoom(grip.spread / spread(), middle);
        grip.moved = true;
      } else if (grip.moved || Math.abs(event.clientX - grip.at) > 4) {
        grip.moved = true;
        hover(null);
        move(grip.view[0] - ((event.clientX - grip.at) / width) * size, size);
      }
    });
    function release(event) {
      const still = pointers.delete(event.pointerId) && grip && !grip.moved && event.type === "pointerup";
      if (!pointers.size && still) {
        const bar = barAt(...place(event));
        hover(null);
        if (bar) choose(bar);
        if (bar && bar.id !== null) open(bar.id);
      }
    }
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => hover(null));
    $("zoom-in").addEventListener("click", () => zoom(0.5));
    $("zoom-out").addEventListener("click", () => zoom(2));
    $("zoom-fit").addEventListener("click", () => zoom(1e9));
    new ResizeObserver(() => canvas.clientWidth !== width && resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", resize);
    resize();
    // For tests and the curious: where a bar is, in CSS pixels from the corner of the canvas.
    canvas.barCentre = (id) => {
      const bar = bars.find((one) => one.id === id && visible(one));
      return bar && [(Math.max(x(bar.from), 0) + Math.min(x(bar.to), width)) / 2, y(bar) + rowHeight / 2];
    };
    return (id) => { person = id; draw(); };
  }
})();
