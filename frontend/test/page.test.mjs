// The page in a real browser against the real server. TANDEM_BIN is the built binary, CHROMIUM the browser.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { cp, rm } from 'node:fs/promises';
import { PASSWORD, Server, Window, launch, until } from './harness.mjs';

const TIMEOUT = { timeout: 150_000 };
let browser, server;
let windows = [];

before(async () => {
  browser = await launch();
  server = await Server.start();
}, TIMEOUT);

after(async () => {
  await browser?.close();
  await server?.stop();
}, TIMEOUT);

afterEach(async () => {
  const open = windows;
  windows = [];
  for (const win of open) await win.close();
  for (const win of open) assert.deepEqual(win.faults, []);
});

async function newWindow(at = server) {
  const win = await Window.open(browser, at);
  windows.push(win);
  return win;
}

async function joined(how, name, room, transport, at = server) {
  const win = await newWindow(at);
  await win.enter(how, name, transport);
  await win.go(room);
  return win;
}

const range = (n, name) => Array.from({ length: n }, (_, i) => `${name} ${i}`);
const showing = (win, n) => until(`${n} messages`, async () => {
  const messages = await win.messages();
  return messages.length >= n && messages.every((m) => m.id) && messages;
});

function assertInOrder(messages) {
  const ids = messages.map((m) => m.id);
  assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
}

test('what is wrong is said next to the field', TIMEOUT, async () => {
  const { page } = await newWindow();
  await page.goto(server.url);
  await page.fill('#username', 'nobody');
  await page.fill('#password', 'short');
  await page.click('#auth button[value=signup]');
  await until('the password is refused', () => page.isVisible('#password-error'));
  assert.notEqual(await page.textContent('#password-error'), '');
  assert.equal(await page.getAttribute('#password', 'aria-invalid'), 'true');

  await page.fill('#password', PASSWORD);
  await page.click('#auth button[value=login]');
  await until('the log-in is refused', () => page.isVisible('#auth-error'));
  assert.equal(await page.isVisible('#password-error'), false);
});

test('a room is made by name, survives a reload, and logging out forgets', TIMEOUT, async () => {
  const win = await newWindow();
  const { page } = win;
  await win.enter('signup', 'ada');
  await win.go('комната');
  const curl = await until('the token is in the line', async () => {
    const line = await page.textContent('#empty pre');
    return /Bearer \S{20}/.test(line) && line;
  });
  const [, text, authorization, url] = curl.match(/^curl -d '(.+?)'[^]+'Authorization: (.+?)'[^]+(http\S+)$/);
  assert.equal(url, `${server.url}v1/rooms/${encodeURIComponent('комната')}/messages`);
  await page.click('#empty button');
  await until('it is copied', async () => await page.textContent('#empty button') === 'Copied');
  await page.focus('#text');
  await page.keyboard.press('Control+V');
  assert.equal(await page.inputValue('#text'), curl);
  await page.fill('#text', '');
  const posted = await fetch(url, { method: 'POST', body: text, headers: { authorization } });
  assert.equal(posted.status, 201);
  await until('the line from the terminal shows', async () => (await win.texts()).join() === text);
  assert.equal(await page.isVisible('#empty'), false);

  await win.use('sse');
  await until('the hash has the transport', () => page.url().includes('transport=sse'));
  await page.reload();
  await win.live();
  assert.equal(await page.textContent('#title'), 'комната');
  assert.ok(await page.isChecked('#transport [value=sse]'));
  assert.deepEqual(await win.texts(), [text]);

  await page.click('#logout');
  await until('the door is shown', () => page.isVisible('#door'));
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});

test('the session is renewed when it is due and when it is refused, and ends with the refresh token', TIMEOUT, async () => {
  const win = await joined('login', 'ada', 'комната', 'sse');
  const session = () => win.page.evaluate(() => JSON.parse(localStorage.getItem('tandem.session')));
  const change = async (fields) => {
    await win.page.evaluate((more) => {
      const now = JSON.parse(localStorage.getItem('tandem.session'));
      localStorage.setItem('tandem.session', JSON.stringify({ ...now, ...more }));
    }, fields);
    await win.page.reload();
  };
  for (const fields of [{ renew_at: 0 }, { access_token: 'refused' }]) {
    const before = await session();
    await change(fields);
    await win.live();
    const now = await session();
    assert.notEqual(now.refresh_token, before.refresh_token);
    assert.ok(now.renew_at > Date.now());
  }
  await change({ renew_at: 0, refresh_token: 'refused' });
  await until('the door is shown', () => win.page.isVisible('#door'));
  assert.equal(await session(), null);
});

test('an unknown room in the address is offered, not made', TIMEOUT, async () => {
  const win = await newWindow();
  await win.enter('login', 'ada');
  await win.page.goto(`${server.url}#room=nowhere`);
  await win.page.click('#empty button');
  await win.live();
  assert.equal(await win.page.textContent('#title'), 'nowhere');
});

test('two people on two transports see the same; who is elsewhere sees none of it', TIMEOUT, async () => {
  const bob = await joined('signup', 'bob', 'lobby', 'ws');
  const cy = await joined('signup', 'cy', 'lobby', 'sse');
  const dee = await joined('signup', 'dee', 'attic', 'ws');
  assert.deepEqual([bob.sockets, cy.sockets], [1, 0]);
  for (const win of [bob, cy]) await until('both are here', async () => (await win.users()).join() === 'bob,cy');
  assert.deepEqual(await dee.users(), ['dee']);

  for (let i = 0; i < 10; i++) {
    await Promise.all([bob.say(`bob ${i}`), cy.say(`cy ${i}`)]);
  }
  const [a, b] = await Promise.all([showing(bob, 20), showing(cy, 20)]);
  assert.deepEqual(a, b);
  assertInOrder(a);
  for (const name of ['bob', 'cy']) assert.deepEqual(a.filter((m) => m.user === name).map((m) => m.text), range(10, name));

  await dee.say('is anyone here?'); // the last id of all, so that anything from the lobby would have come before it
  assert.deepEqual((await showing(dee, 1)).map((m) => m.text), ['is anyone here?']);

  await dee.go('lobby');
  for (const win of [bob, cy, dee]) await until('dee came', async () => (await win.users()).join() === 'bob,cy,dee');
  await cy.close();
  for (const win of [bob, dee]) await until('cy left', async () => (await win.users()).join() === 'bob,dee');
  assert.equal((await showing(dee, 20)).length, 20);
});

test('text stays text', TIMEOUT, async () => {
  const attacks = [
    '<img src=x onerror="window.hit=1">', '<script>window.hit=1</script>', '"><svg onload=window.hit=1>',
    'javascript:window.hit=1', '<style>*{display:none}</style>', '&lt;b&gt;\n  two lines  ',
  ];
  const win = await joined('login', 'bob', 'quotes', 'ws');
  const reader = await joined('login', 'cy', 'quotes', 'sse');
  for (const text of attacks) await win.say(text);
  for (const each of [win, reader]) {
    assert.deepEqual((await showing(each, attacks.length)).map((m) => m.text), attacks);
    assert.equal(await each.page.locator('#messages :is(img, script, svg, style, a)').count(), 0);
  }
  await reader.page.reload(); // and so from history
  await reader.live();
  assert.deepEqual(await reader.texts(), attacks);
  assert.equal(await reader.page.evaluate(() => window.hit), undefined);
});

test('too long is said before it is sent', TIMEOUT, async () => {
  const win = await joined('login', 'bob', 'long', 'ws');
  await win.page.fill('#text', '🚲'.repeat(4001));
  await win.page.press('#text', 'Enter');
  assert.match(await win.page.textContent('#text-note'), /Too long by 1\./);
  assert.deepEqual(await win.texts(), []);
  await win.say('🚲'.repeat(4000));
  assert.equal((await showing(win, 1))[0].text.length, 8000);
});

test('a lost answer is asked for again and posts once; what is refused is marked', TIMEOUT, async () => {
  const win = await joined('login', 'bob', 'flaky', 'sse');
  let lost = 0;
  await win.page.route('**/messages', async (route) => {
    if (lost === 2) return route.continue();
    if (++lost === 1) await route.fetch(); // it arrives, its answer does not
    return route.abort();
  });
  await win.say('once');
  await win.say('after it');
  await until('both tries were lost', () => lost === 2);
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['once', 'after it']);
  await win.page.unroute('**/messages');

  await win.page.route('**/messages', (route) => route.fulfill({
    status: 403, contentType: 'application/problem+json', body: JSON.stringify({ status: 403, detail: 'Not today.' }),
  }));
  await win.say('again');
  await until('it is marked', async () => (await win.page.textContent('#messages .failed .error')).includes('Not today.'));
  await win.page.unroute('**/messages');
  await win.page.click('text=Try again');
  assert.deepEqual((await showing(win, 3)).map((m) => m.text), ['once', 'after it', 'again']);
  assert.equal(await win.page.locator('#messages .error').count(), 0);
});

test('earlier messages are loaded on scrolling up', TIMEOUT, async () => {
  const eve = await server.person('eve');
  await eve.enter('tall');
  for (let i = 0; i < 120; i++) await eve.say('tall', `eve ${i}`);
  const win = await joined('login', 'bob', 'tall', 'ws');
  assert.deepEqual(await win.texts(), range(120, 'eve').slice(70));
  const last = win.page.locator('#messages li').last();
  assert.ok(await last.isVisible());
  await until('all of it is there', async () => {
    await win.page.evaluate(() => { document.getElementById('log').scrollTop = 0; });
    return (await win.messages()).length >= 120;
  });
  const all = await showing(win, 120);
  assert.deepEqual(all.map((m) => m.text), range(120, 'eve'));
  assertInOrder(all);
  await until('no more is offered', async () => !await win.page.isVisible('#earlier'));
});

test('changing the transport in mid-conversation loses and doubles nothing', TIMEOUT, async () => {
  const fay = await server.person('fay');
  await fay.enter('bridge');
  const win = await joined('login', 'bob', 'bridge', 'ws');
  const other = await joined('login', 'cy', 'bridge', 'sse');
  let done = false;
  const talk = (async () => {
    for (let i = 0; i < 80; i++) await fay.say('bridge', `fay ${i}`);
    done = true;
  })();
  let switches = 0;
  for (; !done || switches < 6; switches++) {
    await win.use(switches % 2 ? 'ws' : 'sse');
    await until('it is live again', async () => await win.state() === 'live');
    await win.say(`bob ${switches}`);
  }
  await talk;
  const [a, b] = await Promise.all([showing(win, 80 + switches), showing(other, 80 + switches)]);
  assert.deepEqual(a, b);
  assertInOrder(a);
  assert.deepEqual(a.filter((m) => m.user === 'fay').map((m) => m.text), range(80, 'fay'));
  assert.deepEqual(a.filter((m) => m.user === 'bob').map((m) => m.text), range(switches, 'bob'));
});

test('a connection that has gone silent is given up after 45 s', TIMEOUT, async () => {
  const win = await newWindow();
  await win.page.clock.install();
  await win.enter('login', 'bob', 'ws');
  await win.go('lobby');
  const before = await win.messages();
  await win.page.clock.fastForward(44_000);
  assert.deepEqual([win.sockets, await win.state()], [1, 'live']);
  await win.page.clock.fastForward(2_000);
  await until('it has come back', async () => win.sockets === 2 && await win.state() === 'live');
  assert.deepEqual(await win.messages(), before);
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`${signal} and a new start while both type loses and doubles nothing`, TIMEOUT, async (t) => {
    const own = await Server.start();
    t.after(() => own.stop());
    const gus = await joined('signup', 'gus', 'lobby', 'ws', own);
    const hal = await joined('signup', 'hal', 'lobby', 'sse', own);
    let typed = 0, stop = false;
    const typing = (async () => {
      for (; !stop || typed < 20; typed++) await Promise.all([gus.say(`gus ${typed}`), hal.say(`hal ${typed}`)]);
    })();
    await until('they are at it', () => typed >= 5);
    await own.end(signal);
    const then = typed;
    for (const win of [gus, hal]) await until('it shows that it retries', async () => await win.state() !== 'live');
    await until('they type on', () => typed >= then + 5);
    await own.run();
    for (const win of [gus, hal]) await until('it is live again', async () => await win.state() === 'live');
    stop = true;
    await typing;
    const [a, b] = await Promise.all([showing(gus, 2 * typed), showing(hal, 2 * typed)]);
    assert.deepEqual(a, b);
    assertInOrder(a);
    for (const name of ['gus', 'hal']) assert.deepEqual(a.filter((m) => m.user === name).map((m) => m.text), range(typed, name));
    for (const win of [gus, hal]) await until('both are here', async () => (await win.users()).join() === 'gus,hal');
  });
}

test('a server put back to an older state is believed: what it lost goes, what it has stays', TIMEOUT, async (t) => {
  const own = await Server.start();
  const copy = `${own.dir}-copy`;
  t.after(async () => { await own.stop(); await rm(copy, { recursive: true, force: true }); });
  const win = await joined('signup', 'ida', 'lobby', 'ws', own);
  await win.say('kept');
  await showing(win, 1);
  await own.end('SIGTERM');
  await cp(own.dir, copy, { recursive: true });
  await own.run();
  for (let i = 0; i < 5; i++) await win.say(`lost ${i}`);
  await showing(win, 6);
  await own.end('SIGTERM');
  await rm(own.dir, { recursive: true });
  await cp(copy, own.dir, { recursive: true });
  await own.run();
  await until('only what the server has is shown', async () => (await win.texts()).join() === 'kept');
  await win.say('and on');
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['kept', 'and on']);
});
