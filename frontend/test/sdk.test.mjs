// The SDK in real Chromium against the real program: tabs that share a connection and a session, a network that fails,
// and the two built examples.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer, preview } from 'vite';
import { PASSWORD, Server, launch, until } from './harness.mjs';

const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const proxy = (server) => ({ '/v1': { target: server.url, ws: true } });

/** The SDK's source on a page of the API's origin. */
async function source() {
  const vite = await createServer({
    root: root('client'), configFile: false, logLevel: 'silent', optimizeDeps: { include: ['eventsource-parser'] },
    server: { host: '127.0.0.1', port: 0, proxy: proxy(server), hmr: false, watch: null },
  });
  await vite.listen();
  return { url: `http://127.0.0.1:${vite.httpServer.address().port}/test/blank.html`, close: () => vite.close() };
}

/** A tab with a client; window.said and window.ids have what it receives. */
async function tab(context, url, options = {}) {
  const page = await context.newPage();
  page.sockets = 0;
  page.on('websocket', (socket) => {
    if (!socket.url().includes('/v1/events')) return;
    page.sockets++;
    socket.on('close', () => { page.sockets--; });
  });
  await page.goto(url);
  await page.evaluate(async ({ options, timing }) => {
    const { createClient } = await import('/src/index.ts');
    window.client = createClient({ timing, ...options });
    window.follow = (rooms) => {
      window.said = [];
      window.stream = window.client.stream({ rooms });
      window.stream.on('chat_message', (event) => window.said.push(event.message));
    };
  }, { options, timing: { firstEvent: 8000 } });
  return page;
}

const said = (page) => page.evaluate(() => window.said);
const status = (page) => page.evaluate(() => window.stream.status);
const isLive = (page) => until('the tab is live', async () => (await status(page)).state === 'live');
const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => `m${from + i}`);

test('tabs share one connection; each gets everything once, even when the tab that holds it is closed', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    const writer = await server.person('writer');
    await writer.enter('tabs');
    await writer.enter('side');
    const first = await tab(context, site.url);
    await first.evaluate((password) => window.client.signup('tabby', password), PASSWORD);
    await first.evaluate(() => window.follow(['tabs']));
    await isLive(first);
    const others = [await tab(context, site.url), await tab(context, site.url)];
    await others[0].evaluate(() => window.follow(['tabs']));
    await others[1].evaluate(() => window.follow(['tabs', 'side'])); // more than the first one follows
    await Promise.all(others.map(isLive));
    assert.equal((await status(first)).shared, false);
    for (const page of others) assert.deepEqual({ shared: true, transport: 'ws' }, await status(page).then(({ shared, transport }) => ({ shared, transport })));

    for (const text of numbers(0, 20)) await writer.say('tabs', text);
    await writer.say('side', 'aside');
    await until('the last message arrives', async () => (await said(others[1])).includes('aside'));
    for (const page of [first, others[0]]) await until('all messages arrive', async () => (await said(page)).length === 20);
    assert.deepEqual(await said(first), numbers(0, 20));
    assert.deepEqual(await said(others[0]), numbers(0, 20));
    assert.deepEqual(await said(others[1]), [...numbers(0, 20), 'aside']);
    assert.deepEqual([first, ...others].map((page) => page.sockets), [1, 0, 0]);

    const writing = (async () => { for (const text of numbers(20, 80)) await writer.say('tabs', text); })();
    await until('the other tab takes over', async () => (await said(others[0])).length > 25);
    await first.close();
    await writing;
    for (const page of others) {
      await until('all messages arrive', async () => (await said(page)).length >= 80);
      assert.deepEqual((await said(page)).filter((text) => text !== 'aside'), numbers(0, 80));
    }
    await until('exactly one tab has the connection', () => others[0].sockets + others[1].sockets === 1);

    // A tab with a forced transport has its own connection, and the others continue.
    await others[0].evaluate(() => window.stream.use('sse'));
    await until('the tab is live over SSE', async () => (await status(others[0])).transport === 'sse' && (await status(others[0])).state === 'live');
    await writer.say('tabs', 'end');
    for (const page of others) await until('the message arrives', async () => (await said(page)).at(-1) === 'end');
    assert.equal((await status(others[0])).shared, false);
    await others[0].evaluate(() => window.stream.use('auto'));
    await until('the tabs share a connection again', async () => (await Promise.all(others.map(status))).filter(({ state, shared }) => state === 'live' && shared).length === 1);
    await until('exactly one connection is open', () => others[0].sockets + others[1].sockets === 1);
  } finally {
    await context.close();
    await site.close();
  }
});

test('a transport that is forced while the stream is starting is the one in use', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    const page = await tab(context, site.url);
    await page.evaluate((password) => window.client.signup('hasty', password), PASSWORD);
    const stream = await page.evaluateHandle(async () => {
      // Locks are slow: it is still waiting to share the connection when it is told not to.
      const { locks } = navigator;
      locks.request = async (...args) => {
        await new Promise((next) => setTimeout(next, 500));
        return LockManager.prototype.request.apply(locks, args);
      };
      const stream = window.client.stream({ rooms: [] });
      await import('/src/tabs.ts');
      await new Promise((next) => setTimeout(next, 100));
      stream.use('sse');
      return stream;
    });
    await until('the stream is live', () => stream.evaluate(({ status: { state, transport } }) => state === 'live' && transport === 'sse'));
  } finally {
    await context.close();
    await site.close();
  }
});

test('tabs started together share a connection; a room that one may not follow does not affect the others, and is followed once allowed', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    const writer = await server.person('early');
    for (const room of ['dawn', 'dusk']) await writer.enter(room);
    await writer.call('POST', 'v1/rooms', { name: 'den', visibility: 'private' });
    const pages = [await tab(context, site.url), await tab(context, site.url), await tab(context, site.url)];
    await pages[0].evaluate((password) => window.client.signup('bird', password), PASSWORD);
    for (const page of pages) await until('the client knows its user', () => page.evaluate(() => window.client.user === 'bird'));
    const rooms = [['dawn'], ['dawn'], ['dusk']];
    await Promise.all(pages.map((page, i) => page.evaluate((all) => window.follow(all), rooms[i])));
    await Promise.all(pages.map(isLive));
    const shared = async () => Promise.all(pages.map(async (page) => (await status(page)).shared));
    const oneSocket = () => pages.reduce((sum, page) => sum + page.sockets, 0) === 1;
    await until('one tab has the connection', oneSocket);
    assert.deepEqual((await shared()).sort(), [false, true, true]);

    const guest = pages[(await shared()).indexOf(true)];
    await guest.evaluate(() => {
      window.lost = [];
      window.stream.on('lost', (room) => window.lost.push(room));
      window.stream.add('den');
    });
    await until('the guest learns that the room is lost', () => guest.evaluate(() => window.lost.join() === 'den'));
    await isLive(guest);
    assert.equal((await status(guest)).shared, true);
    await writer.call('PUT', 'v1/rooms/den/members/bird', { role: 'member' });
    await guest.evaluate(() => window.stream.add('den'));
    await until('the guest follows the room', () => guest.evaluate(() => window.stream.follows('den') && window.stream.status.state === 'live'));
    await writer.say('den', 'inside');
    await until('the message arrives', async () => (await said(guest)).includes('inside'));
    assert.ok(oneSocket());
  } finally {
    await context.close();
    await site.close();
  }
});

test('tabs refresh their session once, and log out together', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    let refreshed = 0;
    context.on('request', (request) => { if (request.url().endsWith('/v1/auth/refresh')) refreshed++; });
    const pages = [await tab(context, site.url)];
    await pages[0].evaluate((password) => window.client.signup('fresh', password), PASSWORD);
    pages.push(await tab(context, site.url), await tab(context, site.url));
    await pages[0].evaluate(() => {
      const [key] = Object.keys(localStorage).filter((name) => name.startsWith('tandem.session'));
      localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), renew_at: 0 }));
    });
    const tokens = await Promise.all(pages.map((page) => page.evaluate(() => window.client.token())));
    assert.equal(new Set(tokens).size, 1);
    assert.ok(tokens[0]);
    // Once, or twice: another tab may see what was stored a moment later, and then gets the same answer again.
    assert.ok(refreshed >= 1 && refreshed <= 2, `${refreshed} refreshes`);
    await pages[1].evaluate(() => window.follow([]));
    await isLive(pages[1]);
    await pages[2].evaluate(() => window.client.logout());
    await until('the other tab is logged out', () => pages[1].evaluate(() => window.client.user === null));
    await until("the other tab's stream is closed", async () => (await status(pages[1])).state === 'closed');
  } finally {
    await context.close();
    await site.close();
  }
});

test('offline for a while: unsent messages go out once, in order, and missed ones arrive', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    const writer = await server.person('online');
    await writer.enter('trip');
    const page = await tab(context, site.url);
    await page.evaluate((password) => window.client.signup('traveller', password), PASSWORD);
    await page.evaluate(() => window.follow(['trip']));
    await isLive(page);
    await context.setOffline(true);
    await until('the status is offline', async () => (await status(page)).state === 'offline');
    await page.evaluate(() => { for (const text of ['one', 'two', 'three']) window.client.room('trip').send(text); });
    await writer.say('trip', 'missed');
    await context.setOffline(false);
    await until('all messages arrive', async () => (await said(page)).length === 4);
    assert.deepEqual(await said(page), ['missed', 'one', 'two', 'three']);
    assert.equal((await status(page)).state, 'live');
  } finally {
    await context.close();
    await site.close();
  }
});

test('uploads report their progress, survive a cut, and files are shown by their links', async () => {
  const site = await source();
  const context = await browser.newContext();
  try {
    const page = await tab(context, site.url);
    await page.evaluate((password) => window.client.signup('painter', password), PASSWORD);
    let cut = true;
    const tried = [];
    await page.route('**/v1/rooms/studio/files?*', (route) => {
      const name = new URL(route.request().url()).searchParams.get('name');
      tried.push(name);
      return name === 'two.bin' && cut ? route.abort('connectionreset') : route.continue();
    });
    const network = await context.newCDPSession(page);
    await network.send('Network.enable');
    await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 2 << 20 });
    const item = await page.evaluateHandle(async () => {
      const canvas = new OffscreenCanvas(20, 10);
      canvas.getContext('2d').fillRect(0, 0, 20, 10);
      const picture = await canvas.convertToBlob();
      const room = window.client.room('studio');
      await room.enter();
      window.progress = [];
      room.subscribe(() => {
        const upload = room.getSnapshot().messages.at(-1)?.uploads?.[0];
        if (upload) window.progress.push(upload.sent);
      });
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      const big = new File(Array.from({ length: 40 }, () => bytes), 'one.bin');
      return room.send('three', { files: [big, new File([bytes], 'two.bin'), new File([picture], 'dot.png', { type: 'image/png' })] });
    });
    await until('the second upload waits', () => item.evaluate(({ uploads }) => uploads[1].error?.code === 'unreachable'));
    assert.deepEqual(await item.evaluate(({ uploads }) => uploads.map(({ state }) => state)), ['done', 'waiting', 'waiting']);
    const steps = await page.evaluate(() => [...new Set(window.progress)]);
    assert.ok(steps.some((sent) => sent > 0 && sent < 2_400_000), `only ${steps}`);
    assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
    await context.setOffline(true);
    cut = false;
    await context.setOffline(false);
    const { files } = await page.evaluate((item) => item.sent(), item);
    assert.deepEqual(files.map(({ name, size }) => [name, size]).slice(0, 2), [['one.bin', 2_400_000], ['two.bin', 60_000]]);
    assert.equal(tried.filter((name) => name === 'one.bin').length, 1);
    assert.ok(tried.filter((name) => name === 'two.bin').length > 1);
    assert.deepEqual([files[2].type, files[2].width, files[2].height], ['image/png', 20, 10]);
    const size = await page.evaluate(async (id) => {
      const img = new Image();
      img.src = await window.client.files.link(id);
      await img.decode();
      return [img.naturalWidth, img.naturalHeight];
    }, files[2].id);
    assert.deepEqual(size, [20, 10]);
  } finally {
    await context.close();
    await site.close();
  }
});

for (const example of ['react', 'vue']) {
  test(`two windows of the ${example} example chat`, async () => {
    const server = await Server.start(); // its lobby is empty
    const site = await preview({
      root: root(`examples/${example}`), configFile: false, logLevel: 'silent',
      preview: { host: '127.0.0.1', port: 0, proxy: proxy(server) },
    });
    const contexts = [await browser.newContext(), await browser.newContext()];
    const faults = [];
    try {
      const url = `http://127.0.0.1:${site.httpServer.address().port}/`;
      const names = [`ann-${example}`, `ben-${example}`];
      const pages = await Promise.all(contexts.map(async (context, i) => {
        const page = await context.newPage();
        page.on('pageerror', (err) => faults.push(String(err)));
        await page.goto(url);
        await page.fill('[name=name]', names[i]);
        await page.fill('[name=password]', PASSWORD);
        await page.click('[value=signup]');
        await until('the room is live', async () => (await page.textContent('#state'))?.trim() === 'live ws');
        return page;
      }));
      const lines = (page) => page.$$eval('#messages li.sent', (all) => all.map((li) => `${li.querySelector('b').textContent}: ${li.querySelector('span').textContent}`));
      const say = async (page, text) => {
        await page.fill('#text', text);
        await page.press('#text', 'Enter');
      };
      for (const page of pages) await until('both users are listed', async () => (await page.textContent('#users')) === names.join(', '));
      await say(pages[0], 'hi <b>ben</b>');
      await until('ben has the message', async () => (await lines(pages[1])).length === 1);
      await say(pages[1], 'hello ann');
      const all = [`${names[0]}: hi <b>ben</b>`, `${names[1]}: hello ann`];
      for (const page of pages) {
        await until('both messages are shown', async () => (await lines(page)).length === 2);
        assert.deepEqual(await lines(page), all);
      }
      await pages[1].reload();
      await until('the messages are back after a reload', async () => (await lines(pages[1])).length === 2);
      await pages[1].click('#logout');
      await until('the login form is shown', () => pages[1].isVisible('[value=login]'));
      await until('ann sees ben leave', async () => (await pages[0].textContent('#users')) === names[0]);
      // Another user in the same window starts with a fresh room.
      await pages[1].fill('[name=name]', names[0]);
      await pages[1].fill('[name=password]', PASSWORD);
      await pages[1].click('[value=login]');
      await until("the room's messages are shown", async () => (await lines(pages[1])).length === 2);
      assert.deepEqual(faults, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      await site.close();
      await server.stop();
    }
  });
}
