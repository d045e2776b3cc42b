// What the app is like to use: accessible, in three languages, smooth with 10,000 messages, and asking no other host.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { TIMEOUT, showing, stage } from './stage.mjs';

const on = stage('bob', 'cy');
const { newWindow, joined } = on;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds serious or worse. */
async function serious(page) {
  await page.evaluate(axe); // by the debugger, which the page's policy does not concern
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
}

for (const [scheme, width] of [['light', 1280], ['dark', 390]]) {
  test(`axe finds nothing serious, ${scheme}, ${width} px wide`, TIMEOUT, async () => {
    const win = await newWindow(on.server, { colorScheme: scheme, viewport: { width, height: 800 } });
    const { page } = win;
    await page.goto(on.server.url);
    await page.waitForSelector('.door');
    assert.deepEqual(await serious(page), [], 'the door');
    await on.people.cy.enter('lobby');
    const { id } = await on.people.cy.say('lobby', 'hi, see https://example.com');
    await on.people.cy.call('PUT', `v1/rooms/lobby/messages/${id}/reactions/%F0%9F%91%8D`);
    await on.people.cy.enter('other');
    await page.fill('[name=username]', 'bob');
    await page.fill('[name=password]', 'correct horse');
    await page.click('[value=login]');
    await page.waitForSelector('nav .others');
    assert.deepEqual(await serious(page), [], 'the rooms');
    const places = ['rooms/lobby', 'rooms/lobby/here', 'rooms/lobby/settings', 'private/cy', 'people', 'profile', 'new'];
    for (const place of places) {
      await page.goto(`${on.server.url}#/${place}`);
      await page.waitForSelector('.stage h1');
      await until('it has come', () => page.evaluate(() => !document.querySelector('[data-loading]')));
      assert.deepEqual(await serious(page), [], place);
    }
    await page.goto(`${on.server.url}#/rooms/lobby`);
    await page.locator('.row').first().hover();
    await page.locator('.more').first().click();
    assert.deepEqual(await serious(page), [], 'the menu');
    await page.keyboard.press('Escape');
    await page.click('.stage .connection > button');
    assert.deepEqual(await serious(page), [], 'the transports');
  });
}

test('everything is reached and done by the keyboard', TIMEOUT, async () => {
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
    assert.fail(`no way to ${selector}`);
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
  await until('the reaction is there', () => page.isVisible('.reactions'));
  await tabTo('.stage .connection > button');
  await page.keyboard.press('Enter');
  await tabTo('[name^=transport]');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await until('it is SSE', () => page.isVisible('.stage .connection.http'));
});

for (const [locale, placeholder, title] of [['zh-CN', '发消息给 lobby', '在场'], ['ru-RU', 'Сообщение для lobby', 'Сейчас здесь'], ['fr-FR', 'Message lobby', 'Here now']]) {
  test(`a browser in ${locale} has its language, or English`, TIMEOUT, async () => {
    const win = await newWindow(on.server, { locale });
    await win.enter('login', 'bob');
    await win.go('lobby');
    assert.equal(await win.page.getAttribute('[name=message]', 'placeholder'), placeholder);
    assert.ok((await win.page.textContent('.here h2')).startsWith(title));
    assert.equal(await win.page.evaluate(() => document.documentElement.lang), placeholder.startsWith('Message') ? 'en' : locale.slice(0, 2));
    assert.doesNotMatch(await win.page.innerText('#app'), /\b[a-z]+\.[a-z]+[A-Z]?[a-z]*\b(?!\S*\/)(?<!example\.com)/, 'no name of a message');
    if (locale === 'zh-CN') { // and another one where one chooses it, also after a reload
      await win.page.click('nav .account a');
      await win.page.selectOption('.stage select', 'ru');
      await until('it is Russian', () => win.page.isVisible('text=Сменить пароль'));
      await win.page.reload();
      await until('it stays', () => win.page.isVisible('text=Сменить пароль'));
    }
  });
}

test('what is wrong is said in the language of the page, whoever says it', TIMEOUT, async () => {
  const { page } = await newWindow(on.server, { locale: 'ru-RU' });
  await page.goto(on.server.url);
  await page.fill('[name=username]', 'новый');
  await page.fill('[name=password]', 'коротк');
  await page.click('[value=signup]');
  await until('the password is refused', async () => await page.textContent('[name=password] ~ .error') === 'В пароле не меньше 8 знаков.');
  const answers = { login_closed: /по паролю/, internal: /Сбой/, http_502: /по дороге/ };
  for (const [code, words] of Object.entries(answers)) {
    const [status, body] = code === 'http_502' ? [502, '<h1>Bad gateway</h1>'] : [code === 'internal' ? 500 : 403, JSON.stringify({ code, detail: 'English.' })];
    await page.route('**/v1/auth/login', (route) => route.fulfill({ status, body }));
    await page.click('[value=login]');
    await until(`${code} is said`, async () => words.test(await page.textContent('[role=alert]')));
    await page.unroute('**/v1/auth/login');
  }
});

test('10,000 messages scroll smoothly', TIMEOUT, async (t) => {
  const { cy } = on.people;
  await cy.enter('crowd');
  let n = 0;
  const post = async () => { while (n < 10_000) await cy.say('crowd', `message ${n++}`); };
  await Promise.all(Array.from({ length: 32 }, post));
  const win = await joined('login', 'bob', 'crowd', 'ws');
  await until('all of them are loaded', () => win.page.evaluate(async () => {
    const el = document.querySelector('.scroller');
    for (let i = 0; i < 50; i++) {
      el.scrollTop = 0;
      await new Promise((next) => requestAnimationFrame(next));
    }
    return !el.dataset.earlier;
  }), 60_000);
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
  t.diagnostic(`frame times of scrolling 10,000 messages: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(0.999)} ms; ${rows} rows in the document at most`);
  assert.ok(rows < 150, `${rows} rows in the document`);
});

test('no request goes to any other host, and nothing of the reference is in the first load', TIMEOUT, async () => {
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
  assert.ok(code.length < 30 && code.length > 3, `${code.length} files`);
  const headers = await win.page.request.get(on.server.url);
  assert.doesNotMatch(headers.headers()['content-security-policy'], /unsafe/);

  // The reference, with a call tried as who is logged in.
  await win.page.goto(`${on.server.url}docs`);
  await until('the reference is there', () => win.page.isVisible('h1:has-text("tandem")'));
  await win.page.goto(`${on.server.url}docs#tag/accounts/GET/v1/me`);
  await win.page.locator('button:has-text("Test Request"):visible').first().waitFor();
  await win.page.locator('#tag\\/accounts\\/GET\\/v1\\/me button:has-text("Test Request"), [id*="GET/v1/me"] button:has-text("Test Request")').first().click();
  const answered = win.page.waitForResponse((res) => res.url().endsWith('/v1/me'));
  await win.page.locator('button:has-text("Send")').first().click();
  assert.deepEqual(await (await answered).json(), { username: 'bob', role: 'user' });
  assert.deepEqual(asked.filter((url) => !url.startsWith(on.server.url) && !/^(data|blob):/.test(url)), []);
  win.faults = win.faults.filter((fault) => !/eval|unsafe-eval|'script-src'/.test(fault)); // it asks whether it may, and goes without
});
