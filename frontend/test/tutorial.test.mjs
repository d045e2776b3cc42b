// The Django Channels tutorial's page in two windows of a real browser, with the built binary.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { PASSWORD, Server, Window, launch, until } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const fixture = (name) => readFile(new URL(`tutorial/${name}`, import.meta.url), 'utf8');

/** A user's window, logged in with the cookie, on the tutorial's page. */
async function room(server, name) {
  const win = await Window.open(browser, server);
  win.complaints = [];
  win.page.on('console', (msg) => { if (msg.type() === 'error') win.complaints.push(msg.text()); });
  await win.page.goto(server.url);
  await win.page.evaluate(([username, password]) => fetch('v1/auth/login', {
    method: 'POST', body: JSON.stringify({ username, password, cookie: true }), headers: { 'Content-Type': 'application/json' },
  }), [name, PASSWORD]);
  win.complaints.length = 0; // from tandem's own page
  const [html, script] = [await fixture('room.html'), await fixture('room.js')];
  await win.page.route(`${server.url}chat/lobby/`, (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await win.page.route(`${server.url}static/room.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: script }));
  await win.page.goto(`${server.url}chat/lobby/`);
  win.log = async () => (await win.page.inputValue('#chatLog')).split('\n').filter(Boolean);
  win.online = () => win.page.evaluate(() => [...document.querySelectorAll('#onlineUsersSelector option')].map((o) => o.value));
  win.type = async (text) => {
    await win.page.fill('#chatMessageInput', text);
    await win.page.press('#chatMessageInput', 'Enter');
  };
  win.logged = (line) => until(`${name} sees ${line}`, async () => (await win.log()).includes(line));
  await win.logged(`${name} joined the room.`);
  return win;
}

test("the Channels tutorial's page works unchanged", async () => {
  const server = await Server.start();
  try {
    for (const name of ['ada', 'bob']) await server.person(name);
    const ada = await room(server, 'ada');
    const bob = await room(server, 'bob');
    await ada.logged('bob joined the room.');
    assert.deepEqual((await ada.online()).sort(), ['ada', 'bob']);
    assert.deepEqual((await bob.online()).sort(), ['ada', 'bob']);

    await ada.type('hello <b>bob</b>');
    await bob.logged('ada: hello <b>bob</b>');
    await bob.type('hello ada');
    await ada.logged('bob: hello ada');
    await bob.logged('bob: hello ada');
    assert.deepEqual(await bob.log(), ['bob joined the room.', 'ada: hello <b>bob</b>', 'bob: hello ada']);
    assert.deepEqual([...ada.complaints, ...bob.complaints], [], 'the page knows every event');

    // Malformed: the page logs an answer that it does not know, and continues.
    await ada.type('/pm bob');
    await until('the page got the error', () => ada.complaints.length === 1);
    await ada.type('still here');
    await bob.logged('ada: still here');

    await bob.close();
    await ada.logged('bob left the room.');
    assert.deepEqual(await ada.online(), ['ada']);
    assert.deepEqual(ada.faults, []);

    // The page reconnects by itself after a restart.
    await server.end('SIGTERM');
    await server.run();
    await until('ada has rejoined', async () => (await ada.log()).filter((line) => line === 'ada joined the room.').length === 2);
    await ada.type('again');
    await ada.logged('ada: again');
    await ada.close();
  } finally {
    await server.stop();
  }
});
