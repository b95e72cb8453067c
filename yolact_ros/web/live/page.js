// SPDX-License-Identifier: Apache-2.0
// The live page: asks for a turn, draws it, asks for the next one. Everything that comes is text to
// it, never HTML. `values` holds the newest value of each name, see ros/view/ for what is in them.

const PATIENCE = 3; // s without a message of the node, or a picture, after which it is said
const values = new Map(); // name -> {value, at}: `at` is when it was new, in s of this page's clock
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
let socket = null;
let pictures = []; // promises of the pictures of this turn
let changes = 0;
const awaited = new Map(); // number of a change -> what hears the answer

const now = () => performance.now() / 1000;
const get = (name) => values.get(name)?.value ?? null;
const age = (name) => (values.has(name) ? now() - values.get(name).at : Infinity);
const find = (selector, within = document) => within.querySelector(selector);

function element(tag, text = "", properties = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  return Object.assign(made, properties);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The connection. A page that nobody sees is closed, so that the node need not draw for it.

function connect() {
  if (socket !== null || document.hidden) return;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => socket.send('"next"');
  socket.onmessage = ({ data }) => (typeof data === "string" ? takeText(data) : takePicture(data));
  socket.onclose = () => {
    socket = null;
    awaited.forEach((answer) => answer("the connection has ended before the answer came"));
    awaited.clear();
    if (!document.hidden) setTimeout(connect, 1000);
  };
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) socket?.close();
  else connect();
});

function takePicture(data) {
  const length = new DataView(data).getUint16(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 2, length)));
  const jpeg = new Blob([new Uint8Array(data, 2 + length)], { type: "image/jpeg" });
  pictures.push(
    createImageBitmap(jpeg).then(
      (value) => put(header.name, { value, age: header.age }),
      () => {}, // cut off on the way: the next one will do
    ),
  );
}

function put(name, { value, age: old }) {
  get(name)?.close?.();
  values.set(name, { value, at: now() - old });
}

async function takeText(text) {
  const message = JSON.parse(text);
  if ("answer" in message) {
    awaited.get(message.answer)?.(message.reason);
    awaited.delete(message.answer);
    return;
  }
  const mine = socket;
  Object.entries(message.values).forEach(([name, entry]) => put(name, entry));
  const drawn = pictures;
  pictures = [];
  await Promise.all(drawn);
  try {
    draw();
  } finally {
    if (mine === socket && socket?.readyState === WebSocket.OPEN) socket.send('"next"');
  }
}

function change(name, text) {
  return new Promise((resolve) => {
    if (socket?.readyState !== WebSocket.OPEN) return resolve("there is no connection");
    changes += 1;
    awaited.set(changes, resolve);
    socket.send(JSON.stringify({ set: name, text, token, id: changes }));
  });
}

// What is shown.

function draw() {
  const node = get("node");
  drawHead(node);
  drawCameras(node);
  if (node === null) return;
  drawStages(node.times);
  drawPairs("#counts", node.counts);
  drawPairs("#facts", node.facts);
  drawParameters();
}

function drawHead(node) {
  const server = socket?.readyState === WebSocket.OPEN;
  const silent = node === null || age("node") > PATIENCE;
  document.body.classList.toggle("silent", silent || !server);
  const name = get("watch")?.node ?? "yolact";
  setText(find("#node"), name);
  const levels = ["OK", "WARN", "ERROR"];
  document.title = silent ? `${name}: no sign` : `${name}: ${levels[node.level] ?? "?"}`;
  const verdict = find("#verdict");
  verdict.dataset.level = !server || silent ? "" : node.level;
  if (!server) {
    setText(find("#cause"), "no connection");
    setText(find("#message"), "yolact-ros view does not answer; trying again");
  } else if (silent) {
    const since = node === null ? "" : ` for ${seconds(age("node"))}`;
    setText(find("#cause"), "no sign of the node");
    setText(find("#message"), `nothing of ${name} on /diagnostics${since}; waiting for it`);
  } else {
    setText(find("#cause"), node.cause);
    setText(find("#message"), node.message === node.cause ? "" : node.message);
  }
  setText(find("#link"), node === null ? "" : `${node.state}, heard ${seconds(age("node"))} ago`);
}

function seconds(value) {
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

function drawCameras(node) {
  const names = node?.cameras ?? [];
  const holder = find("#cameras");
  holder.dataset.empty = node === null ? "" : "no camera yet: the node is not configured";
  const shown = [...holder.children].map((card) => card.dataset.camera);
  if (shown.join("\n") !== names.join("\n") || shown.length !== names.length) {
    holder.replaceChildren(
      ...names.map((name) => {
        const card = find("#camera").content.cloneNode(true).firstElementChild;
        card.dataset.camera = name;
        return card;
      }),
    );
  }
  [...holder.children].forEach((card) => drawCamera(card, card.dataset.camera));
}

function drawCamera(card, name) {
  const status = get(`status:${name}`);
  const result = get(`result:${name}`);
  setText(find(".name", card), name || "camera");
  if (status !== null) {
    card.dataset.level = status.level;
    setText(find(".cause", card), name ? `${status.cause}: ${status.message}` : status.topic);
  }
  drawPicture(card, name);
  const figures = status === null ? [] : [...status.figures];
  if (result !== null) figures.push([`${result.rows.length}`, "instances"]);
  find(".figures", card).replaceChildren(
    ...figures.map(([value, label, bad]) => {
      const figure = element("span", "", { className: bad ? "bad" : "" });
      figure.append(element("b", value), label);
      return figure;
    }),
  );
  setText(find(".note", card), get(`note:${name}`) ?? "");
  drawInstances(card, result);
}

function drawPicture(card, name) {
  const picture = get(`picture:${name}`);
  const canvas = find("canvas", card);
  const since = age(`picture:${name}`);
  if (picture !== null && canvas.drawn !== picture) {
    if (canvas.width !== picture.width) canvas.width = picture.width;
    if (canvas.height !== picture.height) canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.drawn = picture;
  }
  const text = picture === null ? "waiting for a picture" : `${seconds(since)} old`;
  setText(find(".stale", card), picture === null || since > PATIENCE ? text : "");
}

const COLUMNS = [
  ["class", (row) => row.class],
  ["score", (row) => row.score.toFixed(2)],
  ["track", (row) => (row.track ? `${row.track}` : "–")],
  ["x y z, m", (row) => row.position?.map((value) => value.toFixed(2)).join("\u2002") ?? "–"],
  ["size, cm", (row) => row.size?.map((value) => (value * 100).toFixed(0)).join(" × ") ?? "–"],
  ["m/s", (row) => (row.speed === null ? "–" : row.speed.toFixed(2))],
];

function drawInstances(card, result) {
  const rows = result?.rows ?? [];
  const columns = COLUMNS.filter((_, i) => i < 3 || result?.measured);
  const head = element("tr");
  head.append(...columns.map(([title]) => element("th", title, { title: result?.frame ?? "" })));
  const lines = rows.map((row) => {
    const line = element("tr");
    line.append(...columns.map(([, text]) => element("td", text(row))));
    return line;
  });
  if (!rows.length) {
    const line = element("tr", "", { className: "none" });
    line.append(element("td", result === null ? "" : "nothing found"));
    lines.push(line);
  }
  find("thead", card).replaceChildren(head);
  find("tbody", card).replaceChildren(...lines);
}

function drawStages(times) {
  const most = Math.max(1, ...times.map(([, , worst]) => worst));
  const lines = times.map(([stage, middle, worst]) => {
    const line = element("div", "", { className: "stage" });
    const bar = element("i");
    bar.style.setProperty("--middle", `${(100 * middle) / most}%`);
    bar.style.setProperty("--worst", `${(100 * worst) / most}%`);
    const figures = element("span", `${middle.toFixed(1)} `);
    figures.append(element("em", worst.toFixed(1)));
    line.append(element("span", stage), bar, figures);
    return line;
  });
  find("#stages .body").replaceChildren(...lines);
}

function drawPairs(section, pairs) {
  const list = element("dl");
  pairs.forEach(([name, value]) => list.append(element("dt", name), element("dd", value)));
  find(`${section} .body`).replaceChildren(list);
}

// The parameters: drawn anew when the list changes; a control that somebody uses is left alone.

const controls = new Map(); // name -> {shape, show}

function drawParameters() {
  const mayChange = Boolean(get("watch")?.changes);
  setText(find("#mode"), modeText(mayChange));
  const rows = get("parameters") ?? [];
  const shape = JSON.stringify([mayChange, rows.map(({ value, ...others }) => others)]);
  if (controls.shape !== shape) {
    controls.shape = shape;
    controls.clear();
    const groups = new Map();
    rows.forEach((row) => {
      const title = row.name.includes(".") ? row.name.split(".")[0] : "";
      groups.set(title, [...(groups.get(title) ?? []), row]);
    });
    find("#parameters .body").replaceChildren(
      ...[...groups].map(([title, members]) => {
        const group = element("fieldset");
        if (title) group.append(element("legend", title));
        const disabled = !mayChange || !token;
        group.append(...members.map((row) => control(row, title, disabled)));
        return group;
      }),
    );
  }
  rows.forEach((row) => controls.get(row.name)?.(row.value));
}

function modeText(mayChange) {
  if (mayChange) return token ? "changed at once" : "to change them, open the address with its token";
  return "read only: start with --allow-changes";
}

function control(row, group, disabled) {
  const line = element("div", "", { className: "parameter" });
  const label = element("label", group ? row.name.slice(group.length + 1) : row.name);
  label.title = `${row.description}\nExpected: ${row.expected}.`;
  const reason = element("p", "", { className: "reason" });
  const inputs = inputsOf(row);
  label.htmlFor = inputs[0].id = `parameter-${row.name}`;
  const text = (input) => (input.type === "checkbox" ? `${input.checked}` : input.value);
  let newest = row.value;
  const show = (value) => {
    newest = value;
    if (line.classList.contains("waiting") || inputs.includes(document.activeElement)) return;
    inputs.forEach((input) => setInput(input, value));
  };
  inputs.forEach((input) => {
    input.disabled = disabled;
    // a slider and the number beside it move together
    input.addEventListener("input", () => inputs.forEach((other) => {
      if (other !== input) other.value = input.value;
    }));
    input.addEventListener("change", async () => {
      line.classList.add("waiting");
      const refused = await change(row.name, text(input));
      line.classList.remove("waiting");
      setText(reason, refused);
      if (refused) inputs.forEach((each) => setInput(each, newest));
    });
    input.addEventListener("blur", () => show(newest));
  });
  controls.set(row.name, show);
  show(row.value);
  line.append(label, ...inputs, reason);
  return line;
}

function setInput(input, value) {
  if (input.type === "checkbox") input.checked = value;
  else input.value = Array.isArray(value) ? value.join(", ") : `${value}`;
}

function inputsOf(row) {
  const bounds = { min: row.low, max: row.high };
  const whole = row.kind === "integer";
  if (row.kind === "boolean") return [element("input", "", { type: "checkbox" })];
  if (row.choices.length) {
    const list = element("select");
    list.append(...row.choices.map((choice) => element("option", choice, { value: choice })));
    return [list];
  }
  if (row.kind !== "integer" && row.kind !== "float") return [element("input", "", { type: "text" })];
  const number = element("input", "", { type: "number", step: whole ? "1" : "any" });
  if (row.low !== null) number.min = row.low;
  if (row.high !== null) number.max = row.high;
  const span = row.low === null || row.high === null ? Infinity : row.high - row.low;
  if (span > (whole ? 1000 : 1)) return [number]; // a slider would be too coarse
  const step = whole ? 1 : span / 100;
  return [element("input", "", { type: "range", ...bounds, step }), number];
}

setInterval(draw, 500); // ages grow by themselves
connect();
