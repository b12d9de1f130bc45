"use strict";
// The page asks for the state once a second and for pictures one at a time: a slow browser asks less, it piles up nothing.
const cameras = document.getElementById("cameras");
const people = document.getElementById("people");
const nobody = document.getElementById("nobody");
const summary = document.getElementById("summary");
const tiles = new Map();
const cards = new Map();
const PERSON_EVERY_MS = 5000;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}

function makeTile(name) {
  const item = element("li", "tile");
  const image = element("img");
  image.alt = `Newest picture of ${name}`;
  const words = element("div", "words");
  const state = element("span", "state");
  const numbers = element("span", "numbers");
  words.append(element("span", "name", name), state, numbers);
  item.append(image, words);
  cameras.append(item);
  const tile = { image, state, numbers, busy: false, shown: false };
  image.onload = () => { tile.busy = false; tile.shown = true; };
  image.onerror = () => { tile.busy = false; };
  return tile;
}

function showCamera(camera) {
  if (!tiles.has(camera.camera)) tiles.set(camera.camera, makeTile(camera.camera));
  const tile = tiles.get(camera.camera);
  tile.state.dataset.state = camera.state;
  setText(tile.state, camera.state);
  const parts = [`${camera.people} people`, `${camera.fps} fps`];
  if (camera.age_s !== null) parts.push(`${camera.age_s.toFixed(2)} s old`);
  if (camera.dropped) parts.push(`${camera.dropped} of ${camera.received} dropped`);
  setText(tile.numbers, parts.join(" · "));
}

function refreshPictures() {
  if (document.hidden) return;
  for (const [name, tile] of tiles) {
    if (tile.busy) continue;
    tile.busy = true;
    tile.image.src = `/camera/${encodeURIComponent(name)}.jpg?${Date.now()}`;
  }
}

function makeCard(person) {
  const item = element("li", "person");
  const details = element("details");
  const head = element("summary");
  const image = element("img");
  image.alt = "";
  const words = element("span");
  const where = element("span", "where");
  words.append(element("span", "who", `Person ${person.global_id}`), where);
  head.append(image, words);
  const history = element("ol");
  details.append(head, history);
  item.append(details);
  return { item, image, where, history, asked: 0 };
}

function showPerson(person) {
  if (!cards.has(person.global_id)) cards.set(person.global_id, makeCard(person));
  const card = cards.get(person.global_id);
  card.item.classList.toggle("gone", !person.now);
  const here = person.visits[0];
  setText(card.where, here ? `${person.now ? "now" : clock(person.last_s)} · ${here.camera}` : "");
  const now = Date.now();
  if (!card.asked || (person.now && now - card.asked > PERSON_EVERY_MS)) {
    card.asked = now;
    card.image.src = `/person/${person.global_id}.jpg?${now}`;
  }
  const lines = person.visits.map((v) => `${v.camera}: ${clock(v.first_s)} to ${clock(v.last_s)}`);
  if (card.lines !== lines.join("\n")) {
    card.lines = lines.join("\n");
    card.history.replaceChildren(...lines.map((line) => element("li", "", line)));
  }
  return card.item;
}

function show(state) {
  state.cameras.forEach(showCamera);
  const ids = new Set(state.people.map((person) => person.global_id));
  for (const [id, card] of cards) {
    if (!ids.has(id)) { card.item.remove(); cards.delete(id); }
  }
  // People keep their places while the list is used with the keyboard.
  const order = [...state.people].sort((a, b) => b.now - a.now || a.global_id - b.global_id);
  order.forEach((person, place) => {
    const item = showPerson(person);
    if (people.children[place] !== item && !people.contains(document.activeElement)) {
      people.insertBefore(item, people.children[place] || null);
    } else if (!item.parentNode) {
      people.append(item);
    }
  });
  nobody.hidden = state.people.length > 0;
  const present = state.people.filter((person) => person.now).length;
  const up = state.cameras.filter((camera) => camera.state === "up").length;
  const load = state.level ? ` · reduced to load level ${state.level}` : "";
  setText(summary, `${present} present, ${state.identities} known · ${up} of ${state.cameras.length} cameras up${load}`);
}

async function loop() {
  try {
    const answer = await fetch("/api/state", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch (error) {
    setText(summary, `no connection to the run (${error.message})`);
  }
  setTimeout(loop, document.hidden ? 5000 : 1000);
}

loop();
setInterval(refreshPictures, 200);
