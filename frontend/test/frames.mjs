// Measures how smoothly the app scrolls: `make bench-app`, or `TANDEM_BIN=… npm run frames`. A room has 10,000
// messages, every 20th with a picture, and 50 readers, one of which is the app in a browser. It scrolls up through all
// of history and back while a user posts. An empty tall page scrolls the same way, to show what the browser and the
// machine cost.
import { fileURLToPath } from 'node:url';
import { CHROMIUM, Server, Window, launch, until } from './harness.mjs';
import { png } from './pictures.mjs';

const MESSAGES = 10_000, PICTURE_EVERY = 20, READERS = 49, POSTS_PER_SECOND = 5;
const STEP = 240; // px per frame: two notches of a wheel
const PATIENCE = 180_000; // ms in each direction
const ROOM = 'crowd';

process.env.TANDEM_BIN ??= fileURLToPath(new URL('../../bin/tandem', import.meta.url));
const pictures = Array.from({ length: 20 }, (_, i) => png(480 + 40 * i, 320 + 30 * (i % 10), [12 * i, 120, 255 - 12 * i]));
const words = 'The next build is on staging and whoever sits behind a proxy should try it before ten or say so here'.split(' ');
const textOf = (i) => `${i}: ${Array.from({ length: 3 + (i * 7) % 40 }, (_, k) => words[(i + k) % words.length]).join(' ')}`;

async function fill(server, people) {
  let n = 0;
  const post = async () => {
    while (n < MESSAGES) {
      const i = n++;
      const { token, call } = people[Math.floor(i / 4) % people.length];
      const files = [];
      if (i % PICTURE_EVERY === 0) {
        const res = await fetch(`${server.url}v1/rooms/${ROOM}/files?name=${i}.png`, {
          method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: pictures[(i / PICTURE_EVERY) % pictures.length],
        });
        if (!res.ok) throw new Error(`upload: ${res.status} ${await res.text()}`);
        files.push((await res.json()).id);
      }
      await call('POST', `v1/rooms/${ROOM}/messages`, { message: textOf(i), ...(files.length && { files }) });
    }
  };
  await Promise.all(Array.from({ length: 32 }, post));
}

/** Reads the room's events, and counts the messages posted during the measurement. */
async function read(server, { token }, signal) {
  const reader = { live: 0 };
  const { ok, status, body } = await fetch(`${server.url}v1/events?room=${ROOM}`, {
    signal, headers: { Accept: 'text/event-stream', Authorization: `Bearer ${token}` },
  });
  if (!ok) throw new Error(`a reader: ${status}`);
  let rest = '';
  reader.ended = body.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({
    write(chunk) {
      const events = (rest + chunk).split('\n\n');
      rest = events.pop();
      reader.live += events.filter((event) => event.includes('"live ')).length;
    },
  })).catch((err) => { if (!signal.aborted) reader.fault = err; });
  return reader;
}

/** Posts until stop() is called, which returns the number of posts. */
function poster({ say }) {
  let n = 0, on = true;
  const ended = (async () => {
    const begun = performance.now();
    while (on) {
      await say(ROOM, `live ${n++}`);
      await new Promise((next) => setTimeout(next, Math.max(0, begun + (1000 * n) / POSTS_PER_SECOND - performance.now())));
    }
  })();
  return async () => { on = false; await ended; return n; };
}

/** Runs in the page: scrolls up to the end and back down, and returns what it measured. */
async function scroll({ step, patience }) {
  const el = document.querySelector('.scroller');
  const seen = { long: 0, longest: 0, shift: 0, shifts: 0 };
  const tasks = new PerformanceObserver((list) => list.getEntries().forEach((e) => { seen.long++; seen.longest = Math.max(seen.longest, e.duration); }));
  tasks.observe({ type: 'longtask' });
  const shifts = new PerformanceObserver((list) => list.getEntries().forEach((e) => { seen.shift += e.value; seen.shifts++; }));
  shifts.observe({ type: 'layout-shift' });
  const way = async (by, there) => {
    const frames = [];
    let rows = 0;
    const begun = await new Promise(requestAnimationFrame);
    for (let last = begun; !there();) {
      if (last - begun > patience) throw new Error(`timed out after ${patience} ms`);
      el.scrollBy(0, by);
      const now = await new Promise(requestAnimationFrame);
      frames.push(now - last);
      last = now;
      rows = Math.max(rows, el.querySelectorAll('.row').length);
    }
    return { frames, rows };
  };
  el.scrollTop = el.scrollHeight;
  const up = await way(-step, () => el.scrollTop <= 0 && !el.dataset.earlier);
  const height = el.scrollHeight;
  const down = await way(step, () => el.scrollHeight - el.scrollTop - el.clientHeight < 2);
  await new Promise((next) => setTimeout(next, 200)); // let the observers report
  tasks.disconnect();
  shifts.disconnect();
  return { up, down, height, ...seen };
}

const ms = (n) => n.toFixed(1).padStart(7);
function print(what, { frames, rows }) {
  const sorted = [...frames].sort((a, b) => a - b);
  const at = (share) => ms(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  const slow = (100 * frames.filter((t) => t > 33.4).length) / frames.length; // two frames at 60 Hz take 33.3
  console.log(`${what.padEnd(14)} ${String(frames.length).padStart(6)} ${at(0.5)} ${at(0.95)} ${at(0.99)} ${ms(sorted.at(-1))} ${slow.toFixed(1).padStart(9)} % ${String(rows).padStart(6)}`);
}

const server = await Server.start();
let browser;
const streams = new AbortController();
try {
  const people = [];
  for (let i = 0; i < READERS; i++) people.push(await server.person(`reader${i}`));
  for (const { enter } of people) await enter(ROOM);
  const begun = performance.now();
  await fill(server, people.slice(0, 12));
  console.log(`${MESSAGES} messages, ${MESSAGES / PICTURE_EVERY} with a picture, posted in ${((performance.now() - begun) / 1000).toFixed(0)} s`);

  const readers = await Promise.all(people.map((person) => read(server, person, streams.signal)));
  browser = await launch(CHROMIUM);
  const win = await Window.open(browser, server, { viewport: { width: 1280, height: 800 } });
  await win.enter('signup', 'app');
  await win.go(ROOM);
  const blank = await win.context.newPage();
  const stop = poster(people[0]);

  await win.page.bringToFront();
  const app = await win.page.evaluate(scroll, { step: STEP, patience: PATIENCE });
  const cdp = await win.context.newCDPSession(win.page);
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  const nodes = await win.page.evaluate(() => [document.querySelectorAll('.row').length, document.querySelectorAll('*').length]);

  await blank.setContent(`<div class="scroller" style="height: 100vh; overflow-y: auto"><div style="height: ${Math.min(app.height, 1_000_000)}px"></div></div>`);
  await blank.bringToFront();
  const empty = await blank.evaluate(scroll, { step: STEP, patience: PATIENCE });
  const posted = await stop();
  await until('all readers have all messages', () => readers.every(({ live }) => live === posted));

  console.log('frame times      frames  p50 ms  p95 ms  p99 ms longest  over 33 ms   rows');
  print('app, up', app.up);
  print('app, down', app.down);
  print('empty, up', empty.up);
  print('empty, down', empty.down);
  console.log(`app: ${app.long} long tasks, the longest ${app.longest.toFixed(0)} ms; empty: ${empty.long}, ${empty.longest.toFixed(0)} ms`);
  console.log(`app: layout shift ${app.shift.toFixed(2)} in ${app.shifts} shifts; ${app.height} px of history; at the end ${nodes[0]} messages in the document, ${nodes[1]} elements, ${(usedSize / 2 ** 20).toFixed(1)} MiB of JS heap`);
  console.log(`${posted} messages posted meanwhile, and read by ${READERS} other readers`);
  if (win.faults.length) throw new Error(`errors on the page: ${win.faults.join('; ')}`);
} finally {
  streams.abort();
  await browser?.close();
  await server.stop();
}
