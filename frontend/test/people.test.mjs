// Who sees what, and who is present, in windows of several users.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { assertInOrder, range, showing, stage } from './stage.mjs';

const on = stage('one', 'two', 'bob', 'cy', 'dee');
const { newWindow, joined } = on;

// The two tests of the Channels tutorial, in its rooms.
test('when a message is posted then it is seen by everyone in the same room', async () => {
  const one = await joined('login', 'one', 'room_1', 'ws');
  const two = await joined('login', 'two', 'room_1', 'sse');
  await one.say('hello');
  for (const win of [one, two]) assert.deepEqual((await showing(win, 1)).map((m) => m.text), ['hello']);
});

test('when a message is posted then it is not seen by anyone in a different room', async () => {
  const one = await joined('login', 'one', 'room_2', 'ws');
  const two = await joined('login', 'two', 'room_3', 'sse');
  await one.say('hello');
  await showing(one, 1);
  await two.say('world'); // its id is higher than the other one's, so the other would have come first
  assert.deepEqual((await showing(two, 1)).map((m) => m.text), ['world']);
  assert.deepEqual(await one.texts(), ['hello']);
});

test('three users on three transports see the same text in the same order', async () => {
  const wins = [
    await joined('login', 'bob', 'lobby', 'ws'),
    await joined('login', 'cy', 'lobby', 'sse'),
    await joined('login', 'dee', 'lobby', 'poll'),
  ];
  for (const [i, via] of ['ws', 'sse', 'poll'].entries()) await wins[i].over(via);
  await Promise.all(wins.map(async (win, i) => {
    for (const text of range(8, ['bob', 'cy', 'dee'][i])) await win.say(text);
  }));
  const [a, ...others] = await Promise.all(wins.map((win) => showing(win, 24)));
  for (const other of others) assert.deepEqual(other, a);
  assertInOrder(a);
  for (const name of ['bob', 'cy', 'dee']) assert.deepEqual(a.filter((m) => m.user === name).map((m) => m.text), range(8, name));
});

test('the list of users is live on both sides: joining, leaving, closing a tab, reloading', async () => {
  const here = (win, names) => until(`the list is ${names}`, async () => (await win.users()).join() === names);
  const bob = await joined('login', 'bob', 'hall', 'ws');
  await here(bob, 'bob');
  const cy = await joined('login', 'cy', 'hall', 'sse');
  for (const win of [bob, cy]) await here(win, 'bob,cy');

  // A reload must not be visible: record what bob's list shows meanwhile.
  await bob.page.evaluate(() => {
    window.lists = new Set();
    const list = document.querySelector('.here ul');
    new MutationObserver(() => window.lists.add(list.innerText)).observe(list, { childList: true, subtree: true, characterData: true });
  });
  await cy.page.reload();
  await cy.at('hall');
  await here(cy, 'bob,cy');
  await cy.say('back');
  await showing(bob, 1);
  assert.deepEqual(await bob.page.evaluate(() => [...window.lists]), []);

  // A second tab counts once, and the user leaves with the last one.
  const tab = await cy.context.newPage();
  await tab.goto(`${on.server.url}#/rooms/hall`);
  await tab.waitForSelector('.stage .connection[data-state=live]');
  await until('the tab has the list', async () => (await tab.locator('.here li').allTextContents()).map((t) => t.trim()).join() === 'bob,cy');
  await cy.page.close();
  await bob.say('still here?');
  await until('the other tab still gets messages', async () => (await tab.locator('.text').allTextContents()).join() === 'back,still here?');
  await here(bob, 'bob,cy');
  await tab.close();
  await here(bob, 'bob');

  const dee = await joined('login', 'dee', 'hall', 'ws');
  for (const win of [bob, dee]) await here(win, 'bob,dee');
  await dee.page.click('.logout');
  await here(bob, 'bob');
});

test('switching between rooms keeps the connection, and leaving a room takes effect', async () => {
  const bob = await joined('login', 'bob', 'hall', 'ws');
  const cy = await joined('login', 'cy', 'side', 'ws');
  await bob.go('side'); // now a member, and following
  await bob.go('hall');
  await cy.say('meanwhile');
  await until('the message counts as unread', async () => await bob.unread('side') === 1);
  const { sockets } = bob; // becoming a member may have reconnected: the answer can overtake the event
  await bob.page.click('nav .item:has-text("side")');
  await bob.at('side');
  assert.deepEqual((await showing(bob, 1)).map((m) => m.text), ['meanwhile']);
  await until('both users are listed', async () => (await bob.users()).join() === 'bob,cy');
  assert.equal(bob.sockets, sockets);

  await bob.page.click('.stage .link:has-text("Members")');
  await bob.page.click('text=Leave room');
  await until('the room is among the other rooms', () => bob.page.isVisible('nav .others .item:has-text("side")'));
  await until('cy sees bob leave', async () => (await cy.users()).join() === 'cy');

  // Reading a public room needs no membership, and counts as presence.
  await bob.page.click('nav .others .item:has-text("side")');
  await bob.at('side');
  await until('bob is listed', async () => (await cy.users()).join() === 'bob,cy');
  await cy.say('again');
  assert.deepEqual((await showing(bob, 2)).map((m) => m.text), ['meanwhile', 'again']);
  await bob.page.click('.join');
  await until('bob is a member', async () => await bob.page.locator('.join').count() === 0);
  await cy.say('welcome');
  assert.deepEqual((await showing(bob, 3)).map((m) => m.text), ['meanwhile', 'again', 'welcome']);
});

test('a search is for the last words typed, even while an answer is awaited', async () => {
  const win = await newWindow();
  await win.enter('login', 'bob');
  let go;
  const held = new Promise((resolve) => { go = resolve; });
  const asked = [];
  await win.page.route(/\/v1\/users\?/, async (route) => {
    asked.push(new URL(route.request().url()).searchParams.get('q'));
    if (asked.length === 1) await held;
    await route.continue();
  });
  await win.page.click('nav >> text=People');
  await until('the first search is sent', () => asked.length === 1);
  await win.page.fill('.find [name=q]', 'dee');
  await until('the search for dee is sent', () => asked.includes('dee'));
  go();
  await until('only dee is listed', async () => (await win.page.locator('.people .name').allTextContents()).join() === 'dee');
});

test("the site's users, and an admin who disables one at once", async (t) => {
  const own = await Server.start('--admin', 'root:correct horse');
  t.after(() => own.stop());
  const root = await joined('login', 'root', 'lobby', 'ws', own);
  const sam = await joined('signup', 'sam', 'lobby', 'sse', own);
  await own.person('away');
  await root.page.click('nav >> text=People');
  await until('all users are listed', async () => (await root.page.locator('.people .item').allTextContents()).length === 3);
  const online = () => root.page.$$eval('.people .item:has(.on) .name', (all) => all.map((n) => n.textContent).join());
  await until('two users are online', async () => await online() === 'root,sam');

  await root.page.click('nav >> text=Administration');
  await until('the charts are shown', async () => (await root.page.locator('figure').count()) === 4);
  await until('streams are counted by transport', async () => {
    const text = (await root.page.locator('figure').first().textContent()).replace(/\s+/g, ' ');
    return /WebSocket 1/.test(text) && /SSE 1/.test(text);
  });
  await root.page.click('.tabs >> text=People');
  await root.page.click('tr:has-text("sam") >> text=Disable');
  await until('sam is logged out', () => sam.page.isVisible('.door'));
  await until('sam sees the reason', async () => /This account is disabled/.test(await sam.page.textContent('.door [role=status]')));
  await until('sam is listed as disabled', () => root.page.isVisible('tr:has-text("sam") >> text=disabled'));

  await root.page.click('.tabs >> text=Audit log');
  const entry = root.page.locator('.audit tr', { hasText: 'changeAccount' });
  await until('the audit log has the entry', async () => (await entry.count()) === 1);
  const cells = (await entry.locator('td').allTextContents()).map((text) => text.replace(/\s+/g, ' ').trim());
  assert.deepEqual(cells.slice(1), ['root', 'changeAccount disabled: true', 'sam']);
  if (process.env.TANDEM_PICTURES) await root.page.screenshot({ path: `${process.env.TANDEM_PICTURES}/audit.png` });
});
