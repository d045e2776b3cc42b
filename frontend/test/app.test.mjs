// The app in a real browser with a real server: accounts, rooms, messages. TANDEM_BIN is the path of the binary.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PASSWORD, until } from './harness.mjs';
import { assertInOrder, range, showing, stage } from './stage.mjs';

const on = stage('ada', 'bob', 'cy', 'dot', 'eve');
const { newWindow, joined } = on;

test('errors are shown next to their field', async () => {
  const { page } = await newWindow();
  await page.goto(on.server.url);
  await page.fill('[name=username]', 'nobody');
  await page.fill('[name=password]', 'short');
  await page.click('[value=signup]');
  await until('the password is refused', () => page.isVisible('[name=password] ~ .error'));
  assert.notEqual(await page.textContent('[name=password] ~ .error'), '');
  assert.equal(await page.getAttribute('[name=password]', 'aria-invalid'), 'true');

  await page.fill('[name=password]', PASSWORD);
  await page.click('[value=login]');
  await until('the log-in is refused', () => page.isVisible('[role=alert]'));
  assert.equal(await page.textContent('[role=alert]'), 'Wrong username or password.');
  assert.equal(await page.getAttribute('[name=password]', 'aria-invalid'), null);
});

test('a room is created by name, gets a post from curl, survives a reload, and logging out clears everything', async () => {
  const win = await newWindow();
  const { page } = win;
  await win.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await win.enter('login', 'ada');
  await win.go('комната');
  const curl = await until('the token is in the command', async () => {
    const line = await page.textContent('.curl');
    return /Bearer \S{20}/.test(line) && line;
  });
  const [, text, authorization, url] = curl.match(/^curl -d '(.+?)'[^]+'Authorization: (.+?)'[^]+(http\S+)$/);
  assert.equal(url, `${on.server.url}v1/rooms/${encodeURIComponent('комната')}/messages`);
  await page.click('.copy');
  await until('the command is copied', async () => await page.textContent('.copy') === 'Copied');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), curl);
  const posted = await fetch(url, { method: 'POST', body: text, headers: { authorization } });
  assert.equal(posted.status, 201);
  await until('the message from the terminal is shown', async () => (await win.texts()).join() === text);
  assert.equal(await page.isVisible('.empty'), false);

  await win.use('sse');
  await win.over('sse');
  await page.reload();
  await win.at('комната');
  await win.over('sse');
  assert.deepEqual(await win.texts(), [text]);

  await page.click('.logout');
  await until('the login page is shown', () => page.isVisible('.door'));
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('session'))), []);
});

test('an unknown room in the address is offered, not created', async () => {
  const win = await newWindow();
  await win.enter('login', 'ada');
  await win.page.goto(`${on.server.url}#/rooms/nowhere`);
  await win.page.click('.refused button');
  await win.at('nowhere');
});

test('the session is renewed when its token is refused, and ends with the refresh token', async () => {
  const win = await joined('login', 'ada', 'lobby', 'sse');
  const change = (fields) => win.page.evaluate((more) => {
    const key = Object.keys(localStorage).find((name) => name.startsWith('tandem.session'));
    const now = JSON.parse(localStorage.getItem(key));
    localStorage.setItem(key, JSON.stringify({ ...now, ...more }));
    return now.refresh_token;
  }, fields);
  await win.say('before');
  await showing(win, 1);
  for (const fields of [{ renew_at: 0 }, { access_token: 'refused' }]) {
    const old = await change(fields);
    await win.say(`with ${Object.keys(fields)}`);
    await until('all messages are acknowledged', async () => (await win.messages()).every((m) => m.id));
    assert.notEqual(await change({}), old);
  }
  assert.deepEqual(await win.texts(), ['before', 'with renew_at', 'with access_token']);
  await change({ renew_at: 0, refresh_token: 'refused' });
  win.say('too late').catch(() => {}); // the composer may be gone already
  await until('the login page is shown', () => win.page.isVisible('.door'));
  assert.equal((await win.page.textContent('.door [role=status]')).trim(), 'Your session has ended. Log in again.');
});

test('text stays text, and links become links', async () => {
  const attacks = [
    '<img src=x onerror="window.hit=1">', '<script>window.hit=1</script>', '"><svg onload=window.hit=1>',
    'javascript:window.hit=1', 'JaVaScRiPt://x%0Awindow.hit=1', 'data:text/html,<script>window.hit=1</script>',
    '<style>*{display:none}</style>', '{{constructor.constructor("window.hit=1")()}}', '&lt;b&gt;\n  two lines  ',
    'see http://a.example/?q="><img/src=x/onerror=window.hit=1> and https://b.example/x_(y).',
  ];
  await on.people.bob.call('POST', 'v1/rooms', { name: 'quotes', title: '<img src=x onerror=window.hit=1>' });
  const win = await joined('login', 'bob', 'quotes', 'ws');
  const reader = await joined('login', 'cy', 'quotes', 'sse');
  for (const text of attacks) await win.say(text);
  const links = ['http://a.example/?q=', 'https://b.example/x_(y)'];
  const look = async (each) => {
    assert.deepEqual((await showing(each, attacks.length)).map((m) => m.text), attacks);
    assert.equal(await each.page.locator('.text :is(img, script, svg, style)').count(), 0);
    assert.deepEqual(await each.page.$$eval('.text a', (all) => all.map((a) => [a.href, a.target, a.rel])), links.map((href) => [href, '_blank', 'noopener noreferrer nofollow']));
  };
  await look(win);
  await look(reader);
  await reader.page.reload(); // loads them from history
  await reader.at('quotes');
  await look(reader);
  for (const each of [win, reader]) assert.equal(await each.page.evaluate(() => window.hit), undefined);
});

test('a message that is too long is reported before it is sent', async () => {
  const win = await joined('login', 'bob', 'long', 'ws');
  for (const blank of [' ', '\u200b\u200d', '\u2800\n', '\u2028']) { // and an invisible one is not sent
    await win.page.fill('[name=message]', blank);
    await win.page.press('[name=message]', 'Enter');
  }
  await win.page.fill('[name=message]', '🚲'.repeat(4001));
  await win.page.press('[name=message]', 'Enter');
  await until('the composer shows that the text is too long', async () => /1 character over/.test(await win.page.textContent('.composer .left')));
  assert.deepEqual(await win.texts(), []);
  await win.say('🚲'.repeat(4000));
  assert.equal((await showing(win, 1))[0].text.length, 8000);
});

test('a message whose answer is lost is retried and posted once; a refused one is marked', async () => {
  const win = await joined('login', 'bob', 'flaky', 'sse');
  let lost = 0;
  await win.page.route('**/messages', async (route) => {
    if (lost === 2) return route.continue();
    if (++lost === 1) await route.fetch(); // it arrives, and its answer does not
    return route.abort();
  });
  await win.say('once');
  await win.say('after it');
  await until('both requests were dropped', () => lost === 2);
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['once', 'after it']);
  await win.page.unroute('**/messages');

  await win.page.route('**/messages', (route) => route.fulfill({
    status: 403, contentType: 'application/problem+json', body: JSON.stringify({ status: 403, code: 'teapot', detail: 'not today.' }),
  }));
  await win.say('again');
  await until('the message is marked as failed', async () => (await win.page.textContent('.failed .error')).includes('Not today.'));
  await win.page.unroute('**/messages');
  await win.page.click('text=Try again');
  assert.deepEqual((await showing(win, 3)).map((m) => m.text), ['once', 'after it', 'again']);
  assert.equal(await win.page.locator('.row .error').count(), 0);

  // A firewall's page, which says nothing about whether a retry helps.
  await win.page.route('**/messages', (route) => route.fulfill({ status: 403, contentType: 'text/html', body: '<h1>Blocked</h1>' }));
  await win.say('<script>');
  await win.page.click('.row .note >> text=Discard');
  await until('the message is discarded', async () => await win.page.locator('.row').count() === 3);
});

test('a failed action on a room says so, and its menu shows what is so', async () => {
  const win = await joined('login', 'bob', 'quiet', 'sse');
  const open = async () => {
    await win.page.click('.bell');
    await until('the level is shown', () => win.page.isChecked('.levels:popover-open [value=mentions]'));
  };
  await open();
  await win.page.route('**/quiet/notify', (route) => route.abort());
  await win.page.click('.levels [value=none]');
  await until('the error is shown', async () => await win.page.textContent('.bar .problem') === 'Cannot reach the server. Check your network. Close');
  await open();
  await win.page.click('.bar .problem button');
  await until('the error is closed', async () => await win.page.locator('.problem').count() === 0);
});

test('what the stream repeats after an interruption is counted once', async () => {
  const { eve } = on.people;
  await eve.enter('twice');
  const win = await joined('signup', 'fay', 'twice', 'sse');
  await win.go('away');
  await eve.enter('away');
  await win.page.route('**/v1/events?*', (route) => route.abort());
  await win.use('poll'); // ends the stream, and no other begins
  await eve.say('twice', 'one');
  await eve.say('twice', 'two');
  for (const message of ['first', 'second']) await eve.call('POST', 'v1/private/fay/messages', { message });
  await eve.call('DELETE', `v1/rooms/twice/messages/${(await eve.say('twice', 'three')).id}`);
  await win.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // loads the lists
  const counts = async () => [await win.unread('twice'), await win.unread('eve')].join();
  await until('the lists count two each', async () => await counts() === '2,2');
  await win.page.unroute('**/v1/events?*');
  await eve.say('away', 'after all these');
  await until('the stream has caught up', async () => (await win.texts()).join() === 'after all these');
  assert.equal(await counts(), '2,2');
});

test('unsent messages and drafts survive a reload', async () => {
  const win = await joined('login', 'bob', 'reload', 'sse');
  let tries = 0;
  await win.page.route('**/reload/messages', (route) => (++tries, route.abort()));
  await win.say('waiting');
  await until('the post was tried', () => tries > 0);
  await win.page.fill('[name=message]', 'half a');
  await win.page.reload();
  await win.at('reload');
  await until('the message is pending again', async () => (await win.messages()).some((m) => m.text === 'waiting' && !m.id));
  assert.equal(await win.page.inputValue('[name=message]'), 'half a');
  await win.page.unroute('**/reload/messages');
  await showing(win, 1);
  await win.page.reload(); // and now it is not sent again
  await win.at('reload');
  await win.say('last');
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['waiting', 'last']);
});

test('the next user to log in sees neither the open room nor the drafts of the last', async () => {
  const win = await joined('login', 'eve', 'desk', 'sse');
  await win.page.route('**/desk/messages', (route) => (route.request().method() === 'POST' ? route.abort() : route.continue()));
  await win.say('not gone out');
  await win.page.fill('[name=message]', 'a secret');
  await win.page.click('.logout');
  await until('the login page is shown', () => win.page.isVisible('.door'));
  await until('the title shows no room', async () => await win.page.title() === 'tandem');
  assert.equal(await win.page.locator('.door [role=status]').count(), 0);
  await win.page.unroute('**/desk/messages');
  await win.page.fill('[name=username]', 'cy');
  await win.page.fill('[name=password]', PASSWORD);
  await win.page.click('[value=login]');
  await until('cy is logged in', () => win.page.isVisible('nav.side'));
  await until('the start page is shown', () => new URL(win.page.url()).hash === '#/');
  await win.go('desk');
  assert.equal(await win.page.inputValue('[name=message]'), '');
  await win.say('mine');
  assert.deepEqual((await showing(win, 1)).map((m) => [m.user, m.text]), [['cy', 'mine']]);
});

test('an edit that fails keeps its text', async () => {
  const win = await joined('login', 'bob', 'typo', 'sse');
  await win.say('helo');
  await showing(win, 1);
  await win.page.route('**/typo/messages/*', (route) => route.abort());
  await win.page.press('[name=message]', 'ArrowUp');
  await win.page.fill('[name=message]', 'hello');
  await win.page.press('[name=message]', 'Enter');
  await until('the error is shown', () => win.page.isVisible('.problem'));
  assert.equal(await win.page.inputValue('[name=message]'), 'hello');
  await win.page.unroute('**/typo/messages/*');
  await win.page.press('[name=message]', 'Enter');
  await until('the message is edited', async () => (await win.texts()).join() === 'hello');
  await until('the composer is empty', async () => await win.page.inputValue('[name=message]') === '');
});

test('messages are edited, answered, reacted to and deleted, and everybody sees the changes', async () => {
  const bob = await joined('login', 'bob', 'talk', 'ws');
  const cy = await joined('login', 'cy', 'talk', 'poll');
  await bob.say('helo');
  await showing(cy, 1);

  await cy.page.locator('[name=message]').pressSequentially('hm');
  await until('bob sees cy typing', async () => await bob.page.textContent('.typing') === 'cy is typing…');
  await cy.page.fill('[name=message]', '');

  // In the list of an input method, the key is not the composer's.
  await bob.page.dispatchEvent('[name=message]', 'keydown', { key: 'ArrowUp', isComposing: true });
  assert.equal(await bob.page.locator('.composer .about').count(), 0);
  await bob.page.press('[name=message]', 'ArrowUp'); // edits the user's last message
  await bob.page.fill('[name=message]', 'hello');
  await bob.page.press('[name=message]', 'Enter');
  for (const win of [bob, cy]) await until('the edited message is shown', async () => (await win.texts()).join() === 'hello' && await win.page.isVisible('text=edited'));

  const menu = async (win, text, item) => {
    const row = win.page.locator('.row', { hasText: text });
    await row.hover();
    await row.locator('.more').click();
    await win.page.click(`.menu >> text=${item}`);
  };
  await menu(cy, 'hello', '🎉');
  await menu(cy, 'hello', 'Reply');
  await cy.say('hi bob');
  const reactions = (win) => win.page.$$eval('.reactions button', (all) => all.map((b) => [b.textContent.trim(), b.ariaPressed]));
  await until('bob sees the reaction', async () => (await reactions(bob)).join() === '🎉 1,false');
  await until('cy sees her own', async () => (await reactions(cy)).join() === '🎉 1,true');
  await until('bob sees the quoted message', async () => (await bob.page.textContent('.quote')).trim() === 'bob hello');
  await bob.page.click('.reactions button');
  await until('the reaction counts 2', async () => (await reactions(cy)).join() === '🎉 2,true');
  await cy.page.click('.reactions button');
  for (const win of [bob, cy]) await until('the reaction counts 1', async () => (await reactions(win))[0]?.[0] === '🎉 1');

  const row = cy.page.locator('.row', { hasText: 'hi bob' });
  await row.hover();
  await row.locator('.more').click();
  await until('the menu has one delete button', async () => await cy.page.locator('.menu button.danger').count() === 1);
  await cy.page.click('.menu .danger');
  await cy.page.click('.menu .danger'); // confirm
  for (const win of [bob, cy]) await until('the message is deleted', async () => (await win.texts()).join() === 'hello,');
  await bob.page.locator('.row', { hasText: 'Deleted' }).hover();
  assert.equal(await bob.page.locator('.row', { hasText: 'Deleted' }).locator('.more').count(), 0);
});

test('unread messages are counted, and a line marks the first new one', async () => {
  const { dot } = on.people;
  await dot.enter('news');
  await dot.say('news', 'old');
  const win = await joined('login', 'bob', 'news', 'ws');
  await showing(win, 1);
  await win.go('elsewhere');
  await until('nothing is unread', async () => await win.unread('news') === 0);
  await dot.say('news', 'new 1');
  await dot.say('news', 'new 2');
  await until('two are unread', async () => await win.unread('news') === 2);
  assert.match(await win.page.title(), /^\(2\)/);
  await win.page.reload();
  await until('the server counts two unread', async () => await win.unread('news') === 2);
  await win.page.click('nav .item:has-text("news")');
  await win.at('news');
  await until('the separator is above the first new message', async () => (await win.page.locator('.row:has(.fresh)').textContent()).includes('new 1'));
  await until('everything is read', async () => await win.unread('news') === 0);
  const rooms = await bobsRooms();
  assert.equal(rooms.find((room) => room.name === 'news').unread, 0);

  async function bobsRooms() {
    const { access_token: token } = await on.server.call('POST', 'v1/auth/login', { username: 'bob', password: PASSWORD });
    return (await on.server.call('GET', 'v1/rooms?limit=100', undefined, token)).items;
  }
});

test('the line is also there with more new messages than a page holds; messages read on arrival are not counted', async () => {
  const { bob, dot } = on.people;
  await bob.enter('flood');
  for (let i = 0; i < 60; i++) await dot.say('flood', `new ${i}`);
  const win = await joined('login', 'bob', 'elsewhere', 'ws');
  await until('all are unread', async () => await win.unread('flood') === 60);
  await win.page.click('nav .item:has-text("flood")');
  await win.at('flood');
  await until('everything is read', async () => await win.unread('flood') === 0);
  await win.page.evaluate(() => {
    window.flashes = 0;
    const look = () => { window.flashes += [...document.querySelectorAll('nav .unread')].filter((el) => el.closest('.item').innerText.includes('flood')).length; };
    new MutationObserver(look).observe(document.querySelector('nav.side'), { childList: true, subtree: true });
  });
  await dot.say('flood', 'read as it comes');
  await until('the message is shown', async () => (await win.texts()).at(-1) === 'read as it comes');
  await dot.say('elsewhere', 'and one that is not');
  await until('the message counts as unread', async () => await win.unread('elsewhere') === 1);
  assert.equal(await win.page.evaluate(() => window.flashes), 0);
  await win.page.locator('.scroller').hover();
  await until('newer messages are reported', async () => {
    await win.page.mouse.wheel(0, -2000);
    return (await win.page.locator('.latest').allTextContents()).some((text) => text.includes('New messages'));
  });
});

test('a private message reaches only the other user, and its sender is notified', async () => {
  const bob = await joined('login', 'bob', 'lobby', 'ws');
  const cy = await joined('login', 'cy', 'lobby', 'sse');
  const dot = await joined('login', 'dot', 'lobby', 'ws');
  await until('cy is in the list', async () => (await bob.users()).includes('cy'));
  await bob.page.click('.here a:has-text("cy")');
  await bob.at('cy');
  await bob.say('psst');
  await until('the message is marked as delivered', async () => await bob.page.textContent('.delivered') === 'Delivered');
  await until('cy has one unread', async () => await cy.unread('bob') === 1);
  await cy.page.click('nav .item:has-text("bob")');
  await cy.at('bob');
  assert.deepEqual((await showing(cy, 1)).map((m) => [m.user, m.text]), [['bob', 'psst']]);
  await until('the message is read', async () => await cy.unread('bob') === 0);
  await cy.say('what?');
  assert.deepEqual((await showing(bob, 2)).map((m) => m.text), ['psst', 'what?']);
  assert.equal(await dot.unread('bob'), 0);
  assert.equal(await dot.page.locator('nav .conversations').count(), 0);
});

test('scrolling up loads history, and what is on the screen stays in place', async () => {
  const { eve } = on.people;
  await eve.enter('tall');
  for (let i = 0; i < 160; i++) await eve.say('tall', i % 7 ? `eve ${i}` : `eve ${i}\n${'and more '.repeat(i)}`);
  const win = await joined('login', 'bob', 'tall', 'ws');
  assert.match((await win.texts()).at(-1), /^eve 159/);
  assert.ok(await win.page.locator('.row').last().isVisible());

  // Scroll up like a reader, and check that no step moves the rows by more than the wheel does.
  const jumps = await win.page.evaluate(async () => {
    const el = document.querySelector('.scroller');
    const frame = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const jumps = [];
    for (let i = 0; i < 150; i++) {
      const top = el.getBoundingClientRect().top;
      const row = [...el.querySelectorAll('.row')].find((r) => r.getBoundingClientRect().top > top + 100);
      const id = row.dataset.id;
      const was = row.getBoundingClientRect().top;
      const by = Math.min(120, el.scrollTop); // less at the top, where history is still being loaded
      el.scrollBy(0, -by);
      await frame();
      const now = el.querySelector(`[data-id="${id}"]`)?.getBoundingClientRect().top;
      if (now !== undefined && el.scrollTop > 0) jumps.push(Math.round(now - was - by));
      if (el.scrollTop === 0 && !el.dataset.earlier) break;
    }
    return jumps;
  });
  assert.ok(jumps.length > 20);
  assert.deepEqual(jumps.filter((px) => Math.abs(px) > 40), []); // a row with an estimated height is measured
  const all = await win.all();
  assert.deepEqual(all.map((m) => m.text.split('\n')[0]), range(160, 'eve'));
  assertInOrder(all);

  // A search result far back in history is shown in place.
  const other = await joined('login', 'cy', 'tall', 'sse');
  await other.page.click('button:has-text("Search")');
  await other.page.fill('[type=search]', 'eve 5');
  await other.page.locator('.search li button', { hasText: /eve 5$/ }).click();
  await until('the message found is on the screen', () => other.page.locator('.row.marked', { hasText: /eve 5/ }).isVisible());

  // So is what a message replies to.
  await eve.call('POST', 'v1/rooms/tall/messages', { message: 'about that', reply_to: Number(all[3].id) });
  const third = await joined('login', 'dot', 'tall', 'sse');
  await third.page.click('.quote:has-text("an earlier message")');
  await until('the earlier message is on the screen', () => third.page.locator('.row.marked', { hasText: /eve 3/ }).isVisible());
});

test('rooms are created, private ones too; roles are changed, and bans apply', async () => {
  const bob = await newWindow();
  await bob.enter('login', 'bob');
  await bob.page.click('nav .new');
  await bob.page.fill('.stage [name=name]', 'den');
  await bob.page.fill('.stage [name=title]', 'Ours alone');
  await bob.page.check('[value=private]');
  await bob.page.check('[value=admins]');
  await bob.page.click('.stage form .primary');
  await bob.at('den');

  const cy = await newWindow();
  await cy.enter('login', 'cy');
  await cy.page.goto(`${on.server.url}#/rooms/den`);
  await until('the page looks like that of a missing room', () => cy.page.isVisible('.refused'));
  assert.equal(await cy.page.locator('nav .item:has-text("den")').count(), 0);

  await bob.page.click('.stage .link:has-text("Members")');
  await bob.page.fill('[name=newcomer]', 'cy');
  await bob.page.press('[name=newcomer]', 'Enter');
  await until('cy is listed as a member', () => bob.page.isVisible('tr:has-text("cy")'));
  await cy.page.click('nav .item:has-text("den")');
  await until('cy cannot post', () => cy.page.isVisible('.closed'));
  await cy.live();
  assert.equal(await cy.page.locator('[name=message]').count(), 0);
  let answer;
  await bob.page.route('**/members/cy', (route) => { answer = () => route.continue(); });
  await bob.page.selectOption('tr:has-text("cy") select', 'moderator');
  await until('the new role is sent', () => answer);
  assert.ok(await bob.page.isDisabled('tr:has-text("cy") .danger'), 'a press now would be lost');
  await bob.page.selectOption('tr:has-text("bob") select', 'owner'); // waits its turn
  answer();
  await bob.page.unroute('**/members/cy');
  await until('cy, now a moderator, can post', () => cy.page.isVisible('[name=message]'));
  await cy.say('thanks');
  await showing(cy, 1);

  await bob.page.click('tr:has-text("cy") .danger');
  await until('cy is listed as banned', () => bob.page.isVisible('text=Unban'));
  await until("the room is gone from cy's list", async () => await cy.page.locator('nav .item:has-text("den")').count() === 0);
  await until("the room's messages are gone from cy's screen", async () => await cy.page.isVisible('.refused') && (await cy.texts()).length === 0);
});

test('on a phone, back does not lead to what was left', async () => {
  const win = await newWindow(on.server, { viewport: { width: 390, height: 800 } });
  const { page } = win;
  const state = () => page.evaluate(() => ({ at: location.hash, back: history.state.back, forward: history.state.forward }));
  await win.enter('login', 'bob');
  await win.go('pocket');
  await page.click('.stage .back');
  await until('the room list is shown', async () => (await state()).at === '#/');
  assert.deepEqual(await state(), { at: '#/', back: null, forward: '/rooms/pocket' });

  // Opened by its address, it has nothing to go back to.
  const other = await win.context.newPage();
  await other.goto(`${on.server.url}#/rooms/pocket`);
  await other.click('.stage .back');
  await until('the room list is shown', () => other.evaluate(() => location.hash === '#/'));
  assert.equal(await other.evaluate(() => history.state.back), null);
});

test('a page of the previous version reloads when its parts are gone', async () => {
  const { page } = await newWindow();
  await page.clock.install();
  await page.goto(on.server.url);
  await page.fill('[name=username]', 'bob');
  await page.fill('[name=password]', PASSWORD);
  await page.click('[value=login]');
  await page.waitForSelector('nav.side');
  await page.clock.fastForward(11_000);
  let before = true;
  page.on('load', () => { before = false; });
  await page.route(/assets\/PeopleView.*\.js/, (route) => (before ? route.fulfill({ status: 404, body: '' }) : route.continue()));
  await page.click('nav >> text=People'); // once
  await until('the directory is shown', () => page.isVisible('.people'));
  assert.equal(before, false);
});

test('a password is changed, a token is created and works, an account is deleted', async () => {
  const win = await newWindow();
  await win.enter('signup', 'zoe');
  await win.page.click('nav .account a');
  await win.page.fill('[name=current]', 'wrong password');
  await win.page.fill('[name=new]', 'another horse');
  await win.page.click('text=Change password');
  await until('the wrong password is refused', () => win.page.isVisible('[role=alert], [name=current] ~ .error'));
  await win.page.fill('[name=current]', PASSWORD);
  await win.page.click('text=Change password');
  await until('the password is changed', () => win.page.isVisible('text=Password changed.'));

  await win.page.fill('[name=token-name]', 'cron');
  await win.page.click('text=Create token');
  const token = await until('the token is shown', () => win.page.textContent('.made code'));
  const me = await on.server.call('GET', 'v1/me', undefined, token);
  assert.equal(me.username, 'zoe');
  await win.page.click('tr:has-text("cron") .danger');
  await until('the token is revoked', async () => await win.page.locator('tr:has-text("cron")').count() === 0);
  await assert.rejects(on.server.call('GET', 'v1/me', undefined, token), /401/);

  await win.page.fill('[name=farewell]', 'another horse');
  await win.page.click('button:has-text("Delete account")');
  await win.page.click('button:has-text("Delete permanently?")');
  await until('the login page is shown', () => win.page.isVisible('.door'));
});
