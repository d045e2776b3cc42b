// The browser's own EventSource and WebSocket, which cannot set headers: they open with a ticket or the cookie, and
// reconnect by themselves after the server was killed. Runs with the built binary, like app.test.mjs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, Server, Window, launch, until } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A page on the server's own origin whose script has logged in, with or without the cookie, and created a ticket. */
async function page(server, cookie) {
  const win = await Window.open(browser, server);
  await win.page.goto(server.url);
  await win.page.evaluate(async ([username, password, cookie]) => {
    const post = async (path, body, token) => (await fetch(path, {
      method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    })).json();
    const { access_token: token } = await post('v1/auth/login', { username, password, cookie });
    window.ticket = (await post('v1/auth/ticket', undefined, token)).ticket;
    window.seen = [];
    window.opened = 0;
  }, ['ada', PASSWORD, cookie]);
  return win;
}

const seen = (win) => win.page.evaluate(() => window.seen);

for (const [way, cookie] of [['a ticket', false], ['the cookie', true]]) {
  test(`EventSource opened with ${way} continues after the server was killed`, async () => {
    const server = await Server.start();
    try {
      const bob = await server.person('bob');
      await server.person('ada');
      await bob.enter('lobby');
      const win = await page(server, cookie);
      await win.page.evaluate((cookie) => {
        const source = new EventSource(`v1/events?room=lobby${cookie ? '' : `&ticket=${window.ticket}`}`);
        source.addEventListener('stream_open', () => { window.opened++; });
        source.addEventListener('chat_message', (event) => window.seen.push(JSON.parse(event.data).message));
      }, cookie);
      await until('the stream is open', () => win.page.evaluate(() => window.opened === 1));
      await bob.say('lobby', 'one');
      await until('one event is received', async () => (await seen(win)).length === 1);
      await server.end('SIGKILL');
      await server.run();
      await bob.say('lobby', 'two'); // possibly before the browser has reconnected
      await until('two events are received', async () => (await seen(win)).length === 2);
      await bob.say('lobby', 'three');
      await until('three events are received', async () => (await seen(win)).length === 3);
      assert.deepEqual(await seen(win), ['one', 'two', 'three']);
      assert.equal(await win.page.evaluate(() => document.cookie), '', 'scripts cannot read the cookie');
      assert.deepEqual(win.faults, []);
      await win.close();
    } finally {
      await server.stop();
    }
  });
}

test('WebSocket opened with the cookie continues after the server was killed', async () => {
  const server = await Server.start();
  try {
    const bob = await server.person('bob');
    await server.person('ada');
    await bob.enter('lobby');
    const win = await page(server, true);
    await win.page.evaluate(() => {
      let cursor = '';
      const open = () => {
        const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/events?room=lobby${cursor && `&since=${cursor}`}`, 'tandem.v1');
        socket.onmessage = ({ data }) => {
          const event = JSON.parse(data);
          if (event.type === 'stream_open') { window.opened++; cursor = event.since; }
          if (event.id) cursor = `${event.id}`;
          if (event.type === 'chat_message') window.seen.push(event.message);
        };
        socket.onclose = () => setTimeout(open, 200);
      };
      open();
    });
    await until('the stream is open', () => win.page.evaluate(() => window.opened === 1));
    await bob.say('lobby', 'one');
    await until('one event is received', async () => (await seen(win)).length === 1);
    await server.end('SIGKILL');
    await server.run();
    await bob.say('lobby', 'two');
    await until('two events are received', async () => (await seen(win)).length === 2);
    assert.deepEqual(await seen(win), ['one', 'two']);
    await win.close();
  } finally {
    await server.stop();
  }
});

test('a page of another origin cannot use the cookie', async () => {
  const server = await Server.start();
  const foreign = await Server.start(); // the same host on another port: the browser sends the cookie
  try {
    const bob = await server.person('bob');
    await server.person('ada');
    await bob.enter('lobby');
    const win = await page(server, true);
    // The policy of its own pages forbids scripts to connect elsewhere; a hostile page would have no such policy.
    await win.page.route(`${foreign.url}evil`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
    await win.page.goto(`${foreign.url}evil`);
    const outcome = await win.page.evaluate((url) => new Promise((done) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}v1/events?room=lobby`);
      socket.onopen = () => done('open');
      socket.onerror = () => done('refused');
    }), server.url);
    assert.equal(outcome, 'refused');
    const sse = await win.page.evaluate((url) => new Promise((done) => {
      const source = new EventSource(`${url}v1/events?room=lobby`, { withCredentials: true });
      source.onopen = () => done('open');
      source.onerror = () => done('refused');
    }), server.url);
    assert.equal(sse, 'refused');
    await win.close();
  } finally {
    await server.stop();
    await foreign.stop();
  }
});
