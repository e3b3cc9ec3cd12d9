// A process of its own: sends garbage to a server on this machine, so many requests a second for so many seconds, and writes what came of it
// to stdout as JSON. usage: node flood.mjs URL REQUESTS_A_SECOND SECONDS
import { connect } from "node:net";

const [url = "", rate = "0", seconds = "0"] = process.argv.slice(2);
const { hostname, port, host } = new URL(url);
if (hostname !== "127.0.0.1" || !(Number(rate) <= 20_000) || !(Number(seconds) <= 60)) {
  console.error("only to 127.0.0.1, at most 20,000 a second, at most 60 seconds");
  process.exit(2);
}

const tickMs = 5;
const kept = 64;
// Of what a server does not read, no more is kept here.
const mostWaiting = 64 * 1024;
const head = `Host: ${host}\r\n`;
const body = '{"nothing": [1, 2';
const garbage = [
  `GET /no/such/path/%00?${"x".repeat(200)} HTTP/1.1\r\n${head}\r\n`,
  `GET /api/status HTTP/1.1\r\n${head}Authorization: Bearer wrong\r\n\r\n`,
  `POST /api/sync HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  `GET /api/status HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n`,
  `GET /api/status HTTP/1.1\r\n${head}\r\n`,
  `GET /metrics HTTP/1.1\r\n${head}\r\n`,
];
// After these the server closes the connection.
const broken = ["\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", `GET / HTTP/1.1\r\nX: ${"y".repeat(20_000)}\r\n\r\n`];

const counts = { sent: 0, connections: 0, refused: 0, heldBack: 0, answers: {} };

function open() {
  counts.connections++;
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on("error", () => counts.refused++);
  socket.setEncoding("latin1").on("data", (text) => {
    for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3})/g))
      counts.answers[status] = (counts.answers[status] ?? 0) + 1;
  });
  return socket;
}

const sockets = [];
let next = 0;

/** One in ten comes on a connection of its own, the others one after the other on those that are open, without waiting for answers. */
function send() {
  const turn = next++;
  if (turn % 10 === 9) {
    const socket = open();
    const fresh = Math.floor(turn / 10);
    const text = fresh % 2 === 0 ? broken[fresh % broken.length] : garbage[fresh % garbage.length];
    socket.write(text, () => socket.setTimeout(1_000, () => socket.destroy()));
    counts.sent++;
    return;
  }
  const i = turn % kept;
  if (!sockets[i]?.writable) sockets[i] = open();
  if (sockets[i].writableLength > mostWaiting) counts.heldBack++;
  else {
    sockets[i].write(garbage[turn % garbage.length]);
    counts.sent++;
  }
}

const begun = performance.now();
const endMs = Number(seconds) * 1_000;
const timer = setInterval(() => {
  const now = performance.now() - begun;
  const due = Math.floor((Math.min(now, endMs) * Number(rate)) / 1_000);
  // Not more in one go than in a tenth of a second: what a slow moment missed is not made up for.
  for (let i = 0; next < due && i < Number(rate) / 10; i++) send();
  if (now < endMs) return;
  clearInterval(timer);
  console.log(JSON.stringify({ ...counts, seconds: (performance.now() - begun) / 1_000 }));
  process.exit(0);
}, tickMs);
