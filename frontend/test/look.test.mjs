// The app's quality of use: accessible, in three languages, smooth with 10,000 messages, and no requests to other
// hosts.
import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { png } from './pictures.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('bob', 'cy');
const { newWindow, joined } = on;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds serious or worse. */
async function serious(page) {
  await page.evaluate(axe); // through the debugger, to which the page's policy does not apply
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
}

for (const [scheme, width] of [['light', 1280], ['dark', 390]]) {
  test(`axe finds nothing serious, ${scheme}, ${width} px wide`, async () => {
    const win = await newWindow(on.server, { colorScheme: scheme, viewport: { width, height: 800 } });
    const { page } = win;
    await page.goto(on.server.url);
    await page.waitForSelector('.door');
    assert.deepEqual(await serious(page), [], 'the login page');
    await on.people.cy.enter('lobby');
    const { id } = await on.people.cy.say('lobby', 'hi, see https://example.com');
    await on.people.cy.call('PUT', `v1/rooms/lobby/messages/${id}/reactions/%F0%9F%91%8D`);
    await on.people.cy.enter('other');
    await page.fill('[name=username]', 'bob');
    await page.fill('[name=password]', 'correct horse');
    await page.click('[value=login]');
    await page.waitForSelector('nav .others');
    assert.deepEqual(await serious(page), [], 'the rooms');
    await on.people.cy.call('POST', 'v1/rooms/lobby/messages', { message: 'hey @bob, **look**:\n\n```\nx\n```', thread: id });
    await on.people.cy.call('PUT', `v1/rooms/lobby/messages/${id}/pin`).catch(() => {}); // the second time another user created the room
    const places = [`rooms/lobby/thread/${id}`, 'mentions', 'rooms/lobby', 'rooms/lobby/here', 'rooms/lobby/settings', 'private/cy', 'people', 'profile', 'new'];
    for (const place of places) {
      await page.goto(`${on.server.url}#/${place}`);
      await page.waitForSelector('.stage h1');
      await until('the page is loaded', () => page.evaluate(() => !document.querySelector('[data-loading]')));
      assert.deepEqual(await serious(page), [], place);
    }
    await page.goto(`${on.server.url}#/rooms/lobby`);
    await page.locator('.row').first().hover();
    await page.locator('.more').first().click();
    assert.deepEqual(await serious(page), [], 'the menu');
    await page.keyboard.press('Escape');
    await page.locator('[name=message]').pressSequentially('@');
    await page.waitForSelector('.mentions [role=option]');
    assert.deepEqual(await serious(page), [], 'the mention list');
    await page.keyboard.press('Escape');
    await page.click('.composer .emojis');
    await page.waitForSelector('.picker [data-emoji]');
    assert.deepEqual(await serious(page), [], 'the emoji');
    await page.keyboard.press('Escape');
    await page.locator('.row .name').first().click();
    await page.waitForSelector('.card');
    assert.deepEqual(await serious(page), [], 'the profile card');
    await page.keyboard.press('Escape');
    await page.click('.stage .connection > button');
    assert.deepEqual(await serious(page), [], 'the transports');
  });
}

const DEAD = 'http://127.0.0.1:1/'; // where nobody listens

/** A server with a room, owned by an admin, whose settings have one of everything; and devices in the profile. */
async function furnished() {
  const server = await Server.start('--admin', 'root:correct horse', '--hooks-allow=127.0.0.1/32');
  const [root, bob, cy] = [await server.person('root', 'login'), await server.person('bob'), await server.person('cy')];
  const room = 'v1/rooms/forum';
  await root.call('POST', 'v1/rooms', { name: 'forum' });
  for (const one of [bob, cy]) await one.enter('forum');
  for (const text of ['buy my pills', 'and my watches']) {
    const { id } = await bob.say('forum', text);
    await bob.call('PATCH', `${room}/messages/${id}`, { message: 'buy nothing' });
    await cy.call('POST', `${room}/messages/${id}/report`, { reason: 'spam' });
  }
  await root.call('PUT', `${room}/mutes/bob`, { seconds: 600 });
  await root.call('POST', `${room}/inlets`, { name: 'GitHub' });
  for (const hooks of [`${room}/hooks`, 'v1/admin/hooks']) {
    const { id } = await root.call('POST', hooks, { url: DEAD });
    await root.call('POST', hooks, { url: DEAD }); // one is failing, the other idle
    await root.call('PATCH', `${hooks}/${id}`, { paused: true });
  }
  await root.say('forum', 'hello');
  await root.call('PUT', `${room}/before-post`, { url: DEAD });
  await root.call('PATCH', room, { slow_mode: 30, retention: 2_592_000 });
  const keys = { p256dh: createECDH('prime256v1').generateKeys().toString('base64url'), auth: Buffer.alloc(16).toString('base64url') };
  await root.call('PUT', 'v1/me/push/phone', { kind: 'webpush', endpoint: `${DEAD}device`, keys });
  await until('a hook has failed', async () => (await root.call('GET', `${room}/hooks`)).items.some((hook) => hook.last_error));
  return server;
}

test('axe finds nothing serious in hooks, inlets, reports, mutes, sessions and notifications, light and dark', async () => {
  const server = await furnished();
  try {
    for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 390], ['dark', 390]]) {
      const win = await newWindow(server, { colorScheme: scheme, viewport: { width, height: 800 } });
      const { page } = win;
      const clean = async (what) => assert.deepEqual(await serious(page), [], `${what}, ${scheme}, ${width} px`);
      await win.enter('login', 'root');
      await page.waitForSelector('footer .open-reports');
      await clean('the number beside Administration');
      await page.goto(`${server.url}#/rooms/forum/settings`);
      for (const part of ['.reports li', '.mutes tr', '.inlets tr', '.hooks [data-state=failing]', '.hooks [data-state=paused]', '.before-post .danger', '[name=retention]']) await page.waitForSelector(part);
      await page.fill('[name=inlet]', 'CI');
      await page.click('.inlets form button');
      await page.waitForSelector('.inlets .once');
      await page.click('.before-post form button');
      await page.waitForSelector('.before-post .once');
      await page.click('.hooks .again >> nth=0');
      await page.click('.hooks .test >> nth=0');
      await page.waitForSelector('.hooks .tested');
      await page.fill('[name=hook-url]', 'nothing');
      await page.click('.hooks form:not(.replay) button');
      await page.waitForSelector('.hooks .field .error');
      await clean('the settings');
      for (const tab of ['reports', 'hooks']) {
        await page.goto(`${server.url}#/admin/${tab}`);
        await page.waitForSelector(`.${tab} li`);
        await clean(`the site's ${tab}`);
      }
      await page.goto(`${server.url}#/admin/audit`);
      await page.waitForSelector('.audit td');
      await clean('the audit log');
      await page.goto(`${server.url}#/profile`);
      await page.waitForSelector('.sessions tr');
      await page.waitForSelector('.push .devices');
      await clean('the profile');
      await page.goto(`${server.url}#/rooms/forum`);
      await page.waitForSelector('.bar .open-reports');
      await clean('the number in the room');
      await page.locator('.row', { hasText: 'buy nothing' }).first().hover();
      await page.locator('.more').first().click();
      await page.locator('.menu [role=menuitem]', { hasText: 'Mute' }).click();
      await clean('for how long somebody is muted');
      await page.keyboard.press('Escape');
      await page.locator('.row', { hasText: 'buy nothing' }).first().hover();
      await page.locator('.more').first().click();
      await page.locator('.menu [role=menuitem]', { hasText: 'Report' }).click();
      await page.waitForSelector('dialog [name=reason]');
      await clean('a report');
      await win.context.close();
    }
  } finally {
    await server.stop();
  }
});

test('reports, mutes, hooks, inlets and sessions can be used with the keyboard', async () => {
  const server = await furnished();
  try {
    const win = await newWindow(server);
    const { page } = win;
    await win.enter('login', 'root');
    await win.go('forum');
    const press = async (selector, key = 'Enter') => {
      await until(`${selector} can be used`, () => page.locator(selector).first().isEnabled());
      for (let i = 0; i < 80; i++) {
        if (await page.evaluate((s) => document.activeElement.matches(s), selector)) return page.keyboard.press(key);
        await page.keyboard.press('Tab');
      }
      assert.fail(`cannot reach ${selector} with the keyboard`);
    };
    await page.waitForSelector('.bar .open-reports');
    await press('.bar .open-reports');
    await page.waitForSelector('.reports li');
    await press('.reports .dismiss');
    await until('one report is left', async () => (await page.locator('.reports li').count()) === 1);
    await press('.reports .danger');
    await page.keyboard.press('Enter'); // it asks for confirmation, and has the focus
    await until('no report is left', () => page.isVisible('.reports .none'));
    await press('[name=slow]', 'ArrowUp');
    await press('.mutes button');
    await until('nobody is muted', async () => (await page.locator('.mutes').count()) === 0);
    await press('[name=retention]', 'ArrowDown');
    assert.equal(await page.inputValue('[name=retention]'), String(90 * 86_400));
    await press('form .primary');
    await page.waitForSelector('form .done');
    await press('[name=inlet]', 'C');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.inlets .once');
    await press('.before-post .danger');
    await page.keyboard.press('Enter');
    await until('no URL is asked before a post', async () => (await page.locator('.before-post .danger').count()) === 0);
    await press('.hooks .pause');
    await until('no hook is paused', async () => (await page.locator('.hooks [data-state=paused]').count()) === 0);
    await press('.hooks .danger');
    await page.keyboard.press('Enter');
    await until('one hook is left', async () => (await page.locator('.hooks li').count()) === 1);
    await server.person('root', 'login'); // a second other session, so that "end all others" is offered
    await page.goto(`${server.url}#/profile`);
    await page.waitForSelector('.sessions .all button');
    await press('.devices button');
    await until('no device is left', async () => (await page.locator('.devices').count()) === 0);
    await press('.sessions .all button');
    await page.keyboard.press('Enter');
    await until('one session is left', async () => (await page.locator('.sessions tr').count()) === 1);
  } finally {
    await server.stop();
  }
});

test('everything can be used with the keyboard', async () => {
  const { page } = await newWindow();
  await page.goto(on.server.url);
  await until('the name has the focus', () => page.evaluate(() => document.activeElement.name === 'username'));
  await page.keyboard.type('bob');
  await page.keyboard.press('Tab');
  await page.keyboard.type('correct horse');
  await page.keyboard.press('Enter');
  await page.waitForSelector('nav.side');
  const tabTo = async (selector) => {
    for (let i = 0; i < 60; i++) {
      if (await page.evaluate((s) => document.activeElement.matches(s), selector)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`cannot reach ${selector} with the keyboard`);
  };
  await tabTo('nav [name=room]');
  await page.keyboard.type('keys');
  await page.keyboard.press('Enter');
  await until('the composer has the focus', () => page.evaluate(() => document.activeElement.name === 'message'));
  await page.keyboard.type('hello');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.row.sent');
  await tabTo('.more');
  await page.keyboard.press('Enter');
  await until('the menu has the focus', () => page.evaluate(() => document.activeElement.role === 'menuitem'));
  await page.keyboard.press('Enter');
  await until('the reaction is shown', () => page.isVisible('.reactions'));
  await tabTo('.stage .connection > button');
  await page.keyboard.press('Enter');
  await tabTo('[name^=transport]');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await until('the app uses SSE', () => page.isVisible('.stage .connection.http'));
});

for (const [locale, placeholder, title] of [['zh-CN', '发消息给 lobby', '在房间里'], ['ru-RU', 'Сообщение: lobby', 'Сейчас здесь'], ['fr-FR', 'Message lobby', 'Here now']]) {
  test(`a browser in ${locale} gets its language, or English`, async () => {
    const win = await newWindow(on.server, { locale });
    await win.enter('login', 'bob');
    await win.go('lobby');
    assert.equal(await win.page.getAttribute('[name=message]', 'placeholder'), placeholder);
    assert.ok((await win.page.textContent('.here h2')).startsWith(title));
    assert.equal(await win.page.evaluate(() => document.documentElement.lang), placeholder.startsWith('Message') ? 'en' : locale.slice(0, 2));
    assert.doesNotMatch(await win.page.innerText('#app'), /\b[a-z]+\.[a-z]+[A-Z]?[a-z]*\b(?!\S*\/)(?<!example\.com)/, 'no message key is shown');
    if (locale === 'zh-CN') { // and another one once it is chosen, also after a reload
      await win.page.click('nav .account a');
      await win.page.selectOption('.stage select', 'ru');
      await until('the page is in Russian', () => win.page.isVisible('text=Сменить пароль'));
      await win.page.reload();
      await until('the page is still in Russian', () => win.page.isVisible('text=Сменить пароль'));
    }
  });
}

test('errors are shown in the language of the page, whatever their source', async () => {
  const { page } = await newWindow(on.server, { locale: 'ru-RU' });
  await page.goto(on.server.url);
  await page.fill('[name=username]', 'новый');
  await page.fill('[name=password]', 'коротк');
  await page.click('[value=signup]');
  await until('the password is refused', async () => await page.textContent('[name=password] ~ .error') === 'Не менее 8 символов.');
  const answers = { login_closed: /по паролю/, internal: /Ошибка на сервере/, http_502: /Прокси-сервер/ };
  for (const [code, words] of Object.entries(answers)) {
    const [status, body] = code === 'http_502' ? [502, '<h1>Bad gateway</h1>'] : [code === 'internal' ? 500 : 403, JSON.stringify({ code, detail: 'English.' })];
    await page.route('**/v1/auth/login', (route) => route.fulfill({ status, body }));
    await page.click('[value=login]');
    await until(`the error ${code} is shown`, async () => words.test(await page.textContent('[role=alert]')));
    await page.unroute('**/v1/auth/login');
  }
});

test('10,000 messages, with pictures among them, scroll smoothly', async (t) => {
  const { cy } = on.people;
  await cy.enter('crowd');
  let n = 0;
  const every = 20; // messages, one of which has a picture
  const picture = png(320, 200, [90, 120, 160]);
  const post = async () => {
    while (n < 10_000) {
      const i = n++;
      if (i % every) await cy.say('crowd', `message ${i}`);
      else {
        const res = await fetch(`${on.server.url}v1/rooms/crowd/files?name=${i}.png`, { method: 'POST', headers: { Authorization: `Bearer ${cy.token}` }, body: picture });
        if (!res.ok) throw new Error(await res.text());
        await cy.call('POST', 'v1/rooms/crowd/messages', { message: `message ${i}`, files: [(await res.json()).id] });
      }
    }
  };
  await Promise.all(Array.from({ length: 32 }, post));
  const win = await joined('login', 'bob', 'crowd', 'ws');
  await until('all of them are loaded', () => win.page.evaluate(async () => {
    const el = document.querySelector('.scroller');
    for (let i = 0; i < 50; i++) {
      el.scrollTop = 0;
      await new Promise((next) => requestAnimationFrame(next));
    }
    return !el.dataset.earlier;
  }), 300_000);
  const { frames, rows } = await win.page.evaluate(async () => {
    const el = document.querySelector('.scroller');
    el.scrollTop = el.scrollHeight;
    await new Promise((next) => setTimeout(next, 200));
    const frames = [];
    let rows = 0;
    for (let last = performance.now(), i = 0; i < 300; i++) {
      el.scrollBy(0, i % 100 < 90 ? -400 : 2000);
      const now = await new Promise((next) => requestAnimationFrame(next));
      frames.push(now - last);
      last = now;
      rows = Math.max(rows, el.querySelectorAll('.row').length);
    }
    return { frames: frames.slice(1).sort((a, b) => a - b), rows };
  });
  const at = (share) => frames[Math.floor(frames.length * share)].toFixed(1);
  t.diagnostic(`frame times of scrolling 10,000 messages, 500 with pictures: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(0.999)} ms; ${rows} rows in the document at most`);
  assert.ok(rows < 150, `${rows} rows in the document`);
});

test('no request goes to another host, and the first load has nothing of the reference', async () => {
  const win = await newWindow();
  const asked = [];
  win.page.on('request', (request) => asked.push(request.url()));
  win.page.on('websocket', (socket) => asked.push(socket.url().replace('ws:', 'http:')));
  await win.enter('login', 'bob');
  await win.go('lobby');
  const code = asked.filter((url) => url.includes('/assets/'));
  for (const place of ['people', 'profile', 'rooms/lobby/settings']) {
    await win.page.goto(`${on.server.url}#/${place}`);
    await win.page.waitForSelector('.stage h1');
  }
  assert.ok(code.length < 40 && code.length > 3, `${code.length} files`);
  const headers = await win.page.request.get(on.server.url);
  assert.doesNotMatch(headers.headers()['content-security-policy'], /unsafe/);

  // The reference, with a call made as the logged-in user.
  await win.page.goto(`${on.server.url}docs`);
  await until('the reference is shown', () => win.page.isVisible('h1:has-text("tandem")'));
  await win.page.goto(`${on.server.url}docs#tag/accounts/GET/v1/me`);
  await win.page.locator('button:has-text("Test Request"):visible').first().waitFor();
  await win.page.locator('#tag\\/accounts\\/GET\\/v1\\/me button:has-text("Test Request"), [id*="GET/v1/me"] button:has-text("Test Request")').first().click();
  const answered = win.page.waitForResponse((res) => res.url().endsWith('/v1/me'));
  await win.page.locator('button:has-text("Send"):visible').last().click();
  const { username, role } = await (await answered).json();
  assert.deepEqual({ username, role }, { username: 'bob', role: 'user' });
  assert.deepEqual(asked.filter((url) => !url.startsWith(on.server.url) && !/^(data|blob):/.test(url)), []);
  win.faults = win.faults.filter((fault) => !/eval|unsafe-eval|'script-src'/.test(fault)); // it tests whether eval is allowed, and does without
});
