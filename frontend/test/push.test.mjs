// Notifications while no page of the app is visible. A push service in the tests decrypts what the server sends (RFC
// 8291) and passes it to the browser through the debugger, since Chromium cannot reach a push service here.
import assert from 'node:assert/strict';
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { CHROMIUM, Server, launch, until } from './harness.mjs';
import { stageIn } from './stage.mjs';

const on = stageIn(() => launch(CHROMIUM));
const { newWindow } = on;
let server;
const device = createECDH('prime256v1');
const p256dh = device.generateKeys();
const auth = randomBytes(16);
const pushes = [];
const gone = []; // endpoints that were unsubscribed
const service = createServer(async (req, res) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  assert.match(req.headers.authorization, /^vapid t=/);
  pushes.push(decrypt(Buffer.concat(parts)));
  res.writeHead(201).end();
});

/** RFC 8188 and 8291: one record, with padding at its end. */
function decrypt(body) {
  const salt = body.subarray(0, 16);
  const sender = body.subarray(21, 21 + body[20]);
  const secret = device.computeSecret(sender);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, sender]);
  const ikm = hkdfSync('sha256', secret, auth, info, 32);
  const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16));
  const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12));
  const record = body.subarray(21 + body[20]);
  const open = createDecipheriv('aes-128-gcm', key, nonce).setAuthTag(record.subarray(-16));
  const text = Buffer.concat([open.update(record.subarray(0, -16)), open.final()]);
  return JSON.parse(text.subarray(0, text.lastIndexOf(2)).toString());
}

before(async () => {
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  server = await Server.start('--hooks-allow=127.0.0.0/8');
});
after(async () => {
  service.close();
  await server?.stop();
});

/** A window whose browser uses our push service. */
async function browserWithPush(options) {
  const win = await newWindow(server, options);
  await win.context.grantPermissions(['notifications'], { origin: server.url });
  await win.context.exposeFunction('unsubscribed', (endpoint) => gone.push(endpoint));
  const subscription = {
    endpoint: `http://127.0.0.1:${service.address().port}/device`,
    expirationTime: null,
    keys: { p256dh: p256dh.toString('base64url'), auth: auth.toString('base64url') },
  };
  await win.context.addInitScript((made) => {
    if (!globalThis.PushManager) return;
    const fake = { options: {}, toJSON: () => made, unsubscribe: async () => { delete localStorage.fake; await unsubscribed(made.endpoint); return true; } };
    PushManager.prototype.subscribe = async function subscribe({ userVisibleOnly, applicationServerKey }) {
      if (!userVisibleOnly || applicationServerKey.length < 80) throw new Error('unexpected subscription options');
      localStorage.fake = 1;
      return fake;
    };
    PushManager.prototype.getSubscription = async () => (localStorage.fake ? fake : null);
  }, subscription);
  return win;
}

/** A user who has turned push on in their profile, and a page beside the app that looks at notifications. */
async function subscribed(name, options) {
  await server.person(name);
  const win = await browserWithPush(options);
  await win.enter('login', name);
  await win.page.goto(`${server.url}#/profile`);
  assert.equal(await win.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0, 'no worker before push is turned on');
  await win.page.click('.push .switch');
  await until('push is on', async () => (await win.page.locator('.push[data-state=push]').count()) === 1);
  const beside = await win.context.newPage();
  await beside.goto(`${server.url}healthz`);
  const cdp = await win.context.newCDPSession(beside);
  let registrationId;
  cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    registrationId = registrations.find(({ scopeURL }) => scopeURL === server.url)?.registrationId ?? registrationId;
  });
  await cdp.send('ServiceWorker.enable');
  await until('the worker is registered', () => registrationId);
  const worker = await until('the worker runs', () => win.context.serviceWorkers()[0]);
  await worker.evaluate(() => {
    globalThis.handled = 0;
    const { waitUntil } = ExtendableEvent.prototype;
    ExtendableEvent.prototype.waitUntil = function counted(work) {
      if (this.type === 'push') work.finally(() => { handled += 1; });
      waitUntil.call(this, work);
    };
    const { showNotification } = registration;
    // Otherwise Chromium removes it after 25 s.
    registration.showNotification = (title, how) => showNotification.call(registration, title, { ...how, requireInteraction: true });
  });
  const origin = server.url.slice(0, -1);
  let sent = 0;
  /** Delivers pushes at once, and waits until they are handled: Chromium forgets a notification if shown() looks before. */
  const deliver = async (...all) => {
    sent += all.length;
    await Promise.all(all.map((news) => cdp.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: JSON.stringify(news) })));
    await until('the pushes are handled', async () => (await worker.evaluate(() => handled)) === sent);
  };
  const shown = () => beside.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration('/');
    return (await registration.getNotifications()).map(({ title, body, tag }) => [title, body, tag]);
  });
  /** Waits until the worker sees no page of the app: one that was left stays for a moment. */
  const left = () => until('no page of the app is left', () => worker.evaluate(async () => {
    const pages = await clients.matchAll({ type: 'window', includeUncontrolled: true });
    return pages.every(({ url }) => new URL(url).pathname !== '/');
  }));
  return { win, worker, beside, deliver, shown, left };
}

test('messages while the app is closed are notified, counted, and withdrawn', async () => {
  const { win, deliver, shown, left } = await subscribed('ada');
  const bob = await server.person('bob');
  await bob.enter('ring');
  const ada = await server.person('ada', 'login');
  await ada.enter('ring');
  const { items } = await ada.call('GET', 'v1/me/push');
  assert.equal(items.length, 1);
  assert.equal(items[0].kind, 'webpush');

  await win.page.close();
  await left();
  await bob.say('ring', 'nobody is meant');
  await bob.say('ring', '@ada are you there?');
  const { id } = await bob.say('ring', '@ada hello?');
  await bob.call('POST', 'v1/private/ada/messages', { message: 'psst' });
  const next = (what, check) => until(what, () => pushes.find(check));
  const ofRoom = await next('the message of the room is pushed', (one) => one.text === '@ada hello?');
  await deliver(ofRoom, await next('the private message is pushed', (one) => !one.room && one.user === 'bob'));
  await until('both notifications are shown', async () => (await shown()).length === 2);
  assert.deepEqual((await shown()).sort(), [['bob in ring (2)', '@ada hello?', 'room:ring'], ['bob', 'psst', 'user:bob']].sort());

  await ada.call('PUT', 'v1/rooms/ring/read', { id });
  await deliver(await next('the read marker is pushed', (one) => one.type === 'read' && one.room === 'ring'));
  await until('the read notification is closed', async () => (await shown()).length === 1);
  await bob.say('ring', '@ada again');
  await deliver(await next('the message is pushed', (one) => one.text === '@ada again'));
  await until('the notification is shown', async () => (await shown()).some(([title]) => title === 'bob in ring'));
});

const news = (message_id, more) => ({ type: 'mention', room: 'комната', user: 'bob', message_id, text: `message ${message_id}`, unread: 1, ...more });

test('one notification per room, none while the app is visible, and in the language of the app', async () => {
  const { win, beside, deliver, shown, left } = await subscribed('cy', { locale: 'ru-RU' });
  await win.page.bringToFront();
  await deliver(news(1));
  assert.equal((await shown()).length, 0);
  await win.page.goto('about:blank');
  await left();
  await deliver(news(2));
  await until('the second notification is shown', async () => (await shown()).length === 1);
  assert.deepEqual(await shown(), [['bob, комната', 'message 2', 'room:комната']]);
  await deliver(news(5, { unread: 3 }));
  await until('the latest message replaces the notification', async () => (await shown())[0]?.[1] === 'message 5');
  assert.deepEqual(await shown(), [['bob, комната (3)', 'message 5', 'room:комната']]);
  await deliver(news(4, { unread: 2 }), news(6, { room: 'other', text: undefined })); // the fourth is late
  await until('the notification of the other room is shown', async () => (await shown()).length === 2);
  assert.deepEqual((await shown()).map(([, body]) => body).sort(), ['message 5', 'Новое сообщение']);
  await deliver({ type: 'read', room: 'комната', message_id: 4, unread: 1 }); // the fifth is still unread
  await deliver({ type: 'read', room: 'other', message_id: 6, unread: 0 });
  await until('the read notification is closed', async () => (await shown()).length === 1);
  assert.equal((await shown())[0][1], 'message 5');
  await win.page.goto(server.url);
  await until('opening the app closes the rest', async () => (await shown()).length === 0);
  await beside.close();
});

test('pushes that arrive together are shown, the latest of each room', async () => {
  const { win, beside, deliver, shown, left } = await subscribed('gus');
  await win.page.goto('about:blank');
  await left();
  for (let round = 1; round <= 30; round++) {
    const id = round * 10;
    await deliver(news(id + 1), news(id + 2, { unread: 2 }), news(id), news(id + 3, { room: 'other' }));
    assert.deepEqual((await shown()).map(([title]) => title).sort(), ['bob in other', 'bob in комната (2)']);
    await beside.evaluate(async () => (await (await navigator.serviceWorker.getRegistration('/')).getNotifications()).forEach((one) => one.close()));
    await until('they are closed', async () => (await shown()).length === 0);
  }
});

test('a notification leads to its message, in the open app or in a new window', async () => {
  const { win, worker, deliver, shown, left } = await subscribed('dan');
  const press = () => worker.evaluate(async () => {
    const [notification] = await registration.getNotifications();
    clients.openWindow = async (url) => { globalThis.opened = url; };
    dispatchEvent(new NotificationEvent('notificationclick', { notification }));
  });
  await server.person('eve').then(({ enter, say }) => enter('quiet').then(() => say('quiet', 'hello')));
  await win.page.goto('about:blank');
  await left();
  await deliver(news(7, { room: 'quiet' }));
  await until('the notification is shown', async () => (await shown()).length === 1);
  await press();
  await until('a window is opened', () => worker.evaluate(() => globalThis.opened));
  assert.equal(await worker.evaluate(() => globalThis.opened), `${server.url}#/rooms/quiet?at=7`);
  await until('the notification is closed', async () => (await shown()).length === 0);

  // Pages cannot be hidden here: make the worker believe that one is.
  await win.page.goto(`${server.url}#/people`);
  await win.page.waitForSelector('.stage h1');
  await win.page.bringToFront();
  await worker.evaluate(() => registration.showNotification('eve', { data: { type: 'private_message', user: 'eve', message_id: 1, unread: 1 } }));
  await until('the notification is shown', async () => (await shown()).length === 1);
  await press();
  await until('the conversation is open', async () => (await win.page.textContent('.stage h1')) === 'eve');
});

test('a device that is turned off, removed or logged out gets no notifications', async () => {
  const { win } = await subscribed('fay');
  const fay = await server.person('fay', 'login');
  const devices = async () => (await fay.call('GET', 'v1/me/push')).items;
  await until('this device is listed', () => win.page.isVisible('.push .devices tr:has-text("This device")'));
  await win.page.click('.push .switch');
  await until('push is off', async () => (await devices()).length === 0);
  assert.equal(gone.length, 1);
  await win.page.click('.push .switch');
  await until('push is on again', async () => (await devices()).length === 1);
  await win.page.reload();
  await win.page.waitForSelector('.push[data-state=push]');

  // Another device, which is lost.
  await fay.call('PUT', 'v1/me/push/phone', { kind: 'webpush', endpoint: `http://127.0.0.1:${service.address().port}/phone`, keys: { p256dh: p256dh.toString('base64url'), auth: auth.toString('base64url') } });
  await win.page.reload();
  await win.page.locator('.push .devices tr:not(:has-text("This device")) button').click();
  await until('one device is left', async () => (await devices()).length === 1);

  await win.page.click('nav footer button:has-text("Log out")');
  await until('the login page is shown', () => win.page.isVisible('.door'));
  await until('the browser is unsubscribed', () => gone.length === 2);
  assert.equal((await devices()).length, 0);
});
