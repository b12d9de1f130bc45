"use strict";
// The page asks for the state once a second and for pictures one at a time: a slow browser asks less, it piles up nothing.
const cameras = document.getElementById("cameras");
const people = document.getElementById("people");
const nobody = document.getElementById("nobody");
const summary = document.getElementById("summary");
const tiles = new Map();
const cards = new Map();
const form = document.getElementById("find");
const photo = document.getElementById("photo");
const which = document.getElementById("which");
const whichLabel = document.getElementById("which-label");
const found = document.getElementById("found");
const matches = document.getElementById("matches");
const cameraSaid = document.getElementById("camera-said");
const addForm = document.getElementById("add-camera");
const PERSON_EVERY_MS = 5000;
const OURS = { "X-Reidpipe": "1" };

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
  const then = new Date(seconds * 1000);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString();
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// What `use` makes of the answer, or an error when it is not all here in time. Not AbortSignal.timeout: its clock keeps the
// request alive until it has run down, long after the answer.
async function request(path, options, patienceMs, use) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error("no answer in time")), patienceMs);
  try {
    return await use(await fetch(path, { ...options, signal: stop.signal }));
  } finally {
    clearTimeout(timer);
  }
}

async function post(path, body) {
  return request(path, { method: "POST", headers: OURS, body }, 30000, readReply);
}

async function readReply(answer) {
  const text = await answer.text();
  let said;
  try { said = JSON.parse(text); } catch { said = { error: text.trim() }; }
  if (!answer.ok) throw new Error(said.error || String(answer.status));
  return said;
}

// A browser keeps every picture that an <img> ever showed, hundreds of megabytes of them. A bitmap is given back.
function makeCanvas(label) {
  const canvas = element("canvas");
  canvas.width = canvas.height = 0;
  canvas.setAttribute("role", label ? "img" : "presentation");
  if (label) canvas.setAttribute("aria-label", label);
  return canvas;
}

// True when there is a picture, and it is still wanted once it has come.
async function draw(canvas, address, wanted) {
  try {
    const blob = await request(address, {}, 10000, (answer) => (answer.ok ? answer.blob() : null));
    if (!blob) return false;
    const bitmap = await createImageBitmap(blob);
    const good = wanted();
    if (good) {
      if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
      if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
    }
    bitmap.close();
    return good;
  } catch {
    return false;  // the next one will come
  }
}

function makeTile(name) {
  const item = element("li", "tile");
  const image = makeCanvas(`Newest picture of ${name}`);
  const words = element("div", "words");
  const state = element("span", "state");
  const numbers = element("span", "numbers");
  words.append(element("span", "name", name), state, numbers);
  const pause = element("button", "", "Pause");
  const remove = element("button", "danger", "Remove");
  pause.type = remove.type = "button";
  const controls = element("div", "controls");
  controls.append(pause, remove);
  item.append(image, words, controls);
  cameras.append(item);
  const tile = { item, image, state, numbers, pause, busy: false, has: false, pictures: 0, firstMs: null };
  pause.onclick = () => changeCamera(tile.state.dataset.state === "paused" ? "resume" : "pause", name, pause);
  remove.onclick = () => sure(remove, `Remove ${name}?`) && changeCamera("remove", name, remove);
  return tile;
}

// The first press asks, the second one within five seconds does it: no dialog that hides the page.
function sure(button, question) {
  if (button.dataset.sure === "yes") return true;
  const before = button.textContent;
  button.dataset.sure = "yes";
  button.textContent = question;
  setTimeout(() => { button.dataset.sure = ""; button.textContent = before; }, 5000);
  return false;
}

async function changeCamera(verb, name, button, more) {
  button.disabled = true;
  try {
    const answer = await post(`/api/cameras/${verb}`, JSON.stringify({ camera: name, ...more }));
    const done = { add: "is added", remove: "is removed", pause: "is paused", resume: "goes on" }[verb];
    setText(cameraSaid, `${name} ${done}${answer.kept ? "." : `, until reidpipe is started anew: ${answer.why}.`}`);
    await refresh();
    return true;
  } catch (error) {
    setText(cameraSaid, error.message);
    return false;
  } finally {
    button.disabled = false;
    if (button.isConnected) button.focus();
  }
}

function showCamera(camera) {
  if (!tiles.has(camera.camera)) tiles.set(camera.camera, makeTile(camera.camera));
  const tile = tiles.get(camera.camera);
  tile.has = camera.age_s !== null;
  tile.state.dataset.state = camera.state;
  setText(tile.state, camera.state);
  const paused = camera.state === "paused";
  setText(tile.pause, paused ? "Resume" : "Pause");
  tile.pause.setAttribute("aria-label", `${tile.pause.textContent} ${camera.camera}`);
  if (paused && tile.image.width) tile.image.width = 0;  // nobody is shown who is not there any more
  const parts = paused ? [] : [camera.people === 1 ? "1 person" : `${camera.people} people`, `${camera.fps} fps`];
  if (camera.age_s !== null) parts.push(`${camera.age_s.toFixed(2)} s old`);
  if (camera.dropped) parts.push(`${camera.dropped} of ${camera.received} dropped`);
  setText(tile.numbers, parts.join(" · "));
}

function refreshPictures() {
  if (document.hidden) return;
  for (const [name, tile] of tiles) {
    if (tile.busy || !tile.has) continue;
    showPicture(name, tile);
  }
}

async function showPicture(name, tile) {
  tile.busy = true;
  if (await draw(tile.image, `/camera/${encodeURIComponent(name)}.jpg`, () => tile.has)) {
    tile.pictures += 1;
    tile.firstMs ??= performance.now();
  }
  tile.busy = false;
}

function makeCard(person) {
  const item = element("li", "person");
  const details = element("details");
  const head = element("summary");
  const image = makeCanvas("");
  const words = element("span");
  const where = element("span", "where");
  words.append(element("span", "who", `Person ${person.global_id}`), where);
  head.append(image, words);
  const body = element("div", "body");
  const history = element("ol");
  const forget = element("button", "danger", "Forget this person");
  forget.type = "button";
  forget.onclick = () => forgetPerson(person.global_id, forget);
  body.append(history, forget);
  details.append(head, body);
  item.append(details);
  return { item, image, where, history, asked: 0 };
}

async function forgetPerson(id, button) {
  if (!sure(button, `Forget person ${id} for good?`)) return;
  button.disabled = true;
  try {
    await post("/api/forget", JSON.stringify({ global_id: id }));
    setText(found, `Person ${id} is forgotten.`);
    cards.get(id)?.item.remove();
    cards.delete(id);
  } catch (error) {
    button.disabled = false;
    button.textContent = error.message;
  }
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
    draw(card.image, `/person/${person.global_id}.jpg`, () => cards.get(person.global_id) === card);
  }
  const lines = person.visits.map(
    (v) => `${v.camera}: ${clock(v.first_s)} to ${clock(v.last_s)} (${duration(v.last_s - v.first_s)})`);
  if (card.lines !== lines.join("\n")) {
    card.lines = lines.join("\n");
    card.history.replaceChildren(...lines.map((line) => element("li", "", line)));
  }
  return card.item;
}

function show(state) {
  showCameras(state);
  refreshPictures();  // before the people, of whom there may be 200: a browser asks for six things at a time
  showPeople(state);
}

function showCameras(state) {
  state.cameras.forEach(showCamera);
  const names = new Set(state.cameras.map((camera) => camera.camera));
  for (const [name, tile] of tiles) {
    if (!names.has(name)) { tile.item.remove(); tiles.delete(name); }
  }
  const up = state.cameras.filter((camera) => camera.state === "up").length;
  const present = state.people.filter((person) => person.now).length;
  const load = state.level ? ` · reduced to load level ${state.level}` : "";
  setText(summary, `${present} present, ${state.identities} known · ${up} of ${state.cameras.length} cameras up${load}`);
}

function showPeople(state) {
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
}

async function refresh() {
  await request("/api/state", {}, 5000, async (answer) => {
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  });
}

async function loop() {
  try {
    await refresh();
  } catch (error) {
    setText(summary, `no connection to the run (${error.message})`);
  }
  setTimeout(loop, document.hidden ? 5000 : 1000);
}

function showMatch(match) {
  const item = element("li", "person match");
  const image = element("img");
  image.alt = "";
  if (match.picture) image.src = match.picture;
  const words = element("div");
  const percent = Math.round(match.probability * 100);
  const name = match.name ? `${match.name} (person ${match.global_id})` : `Person ${match.global_id}`;
  words.append(element("span", "who", `${name}: ${percent < 1 ? "under 1" : percent} %`));
  for (const one of match.sightings) {
    words.append(element("span", "where", `${one.camera}: ${clock(one.first_s)} to ${clock(one.last_s)}`));
  }
  item.append(image, words);
  return item;
}

async function find() {
  const file = photo.files[0];
  if (!file) { setText(found, "Choose a photo first."); return; }
  setText(found, "looking…");
  matches.replaceChildren();
  const query = which.hidden ? "" : `?person=${which.value}`;
  try {
    const answer = await post(`/api/find${query}`, file);
    const several = answer.people > 1;
    which.hidden = whichLabel.hidden = !several;
    which.replaceChildren(...Array.from({ length: answer.people }, (_, i) => new Option(String(i + 1), String(i + 1))));
    if (several) which.value = String(answer.person);
    const who = several ? `person ${answer.person} of ${answer.people} on the photo`
      : answer.people ? "the person on the photo" : "the whole photo, on which nobody was found";
    setText(found, answer.matches.length ? `Most like ${who}:` : "Nobody is known yet.");
    matches.replaceChildren(...answer.matches.map(showMatch));
  } catch (error) {
    setText(found, error.message);
  }
}

addForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = addForm.querySelector("button");
  const name = addForm.elements.name.value.trim();
  if (await changeCamera("add", name, button, { uri: addForm.elements.uri.value.trim() })) addForm.reset();
});
form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
photo.addEventListener("change", () => { which.hidden = whichLabel.hidden = true; });

show(JSON.parse(document.getElementById("first-state").textContent));  // so that pictures are asked for at once
setTimeout(loop, 1000);
setInterval(refreshPictures, 200);
