// Makes pictures of the app: `TANDEM_BIN=… node test/screenshot.mjs DIR [NAMES]` writes desktop-light.png, phone-dark.png
// and more. The conversation goes through the real server; only its times are spread over a morning, since
// the server has no way to set when a message was posted.
import { join } from 'node:path';
import { CHROMIUM, Server, Window, launch, until } from './harness.mjs';

const talk = [ // days ago, time, who, what
  [1, '17:20', 'ada', 'Who could try the next build from somewhere with bad reception?'],
  [1, '17:38', 'grace', 'The office, at any time. The proxy cuts whatever it does not understand.'],
  [1, '17:41', 'linus', 'The train home has no tunnels, so no test tonight.'],
  [1, '17:43', 'grace', 'Tomorrow then. I leave the proxy as it is.'],
  [0, '09:02', 'ada', 'Morning. The new build is on staging, both transports on.'],
  [0, '09:02', 'ada', 'Anyone behind the office proxy, please try it before ten.'],
  [0, '09:04', 'grace', 'On it. WebSocket dies after 30 s as always, so I went over to SSE. Nothing lost.'],
  [0, '09:05', 'linus', 'Phone on the morning train, four tunnels so far. Every message is there, once.'],
  [0, '09:05', 'linus', 'How does it know where it stopped?'],
  [0, '09:07', 'ada', 'Every event has an id, dense and in the order of commit. The client comes back with\n\n    GET /v1/events?room=dev&since=184223\n\nand gets what follows. A cut, another transport, an hour asleep: all the same question.'],
  [0, '09:08', 'grace', 'So a cursor, and no session on the server that could get lost. Nice.'],
  [0, '09:31', 'deploy-bot', 'staging: 41 checks passed, 0 failed (2 min 14 s)'],
  [0, '09:32', 'ada', 'That one is a cron job, by the way. A token and one line of curl.'],
  [0, '09:33', 'мария', 'Спасибо! Имена и комнаты на своём языке тоже работают.'],
  [0, '09:34', 'grace', 'Then I would say we ship it at eleven?'],
  [0, '09:34', 'linus', 'From the next station on, yes.'],
  [0, '09:35', 'ada', 'Eleven it is.'],
];
const rooms = { dev: ['grace', 'linus', 'мария', 'deploy-bot'], lobby: ['grace', 'linus'], design: ['мария'], ops: ['deploy-bot', 'linus'], 'reading-club': [], комната: ['мария'] };

const dir = process.argv[2] ?? '.';
const server = await Server.start('--admin', 'ada:correct horse');
const browser = await launch(CHROMIUM);
const streams = new AbortController();
try {
  const people = {};
  for (const name of new Set(talk.map(([, , name]) => name))) people[name] = await server.person(name, name === 'ada' ? 'login' : 'signup');
  for (const room of Object.keys(rooms)) await people.ada.enter(room);
  for (const [room, names] of Object.entries(rooms)) {
    for (const name of names) await people[name].follow(room, streams.signal);
  }
  const ids = [];
  for (const [, , name, text] of talk) ids.push((await people[name].say('dev', text)).id);

  await people.linus.call('PUT', 'v1/rooms/dev/messages/SHIP/reactions/%E2%98%95'.replace('SHIP', ids[14]));
  for (const name of ['grace', 'мария']) await people[name].call('PUT', `v1/rooms/dev/messages/${ids[16]}/reactions/%E2%9D%A4%EF%B8%8F`);
  await people.ada.call('PUT', 'v1/rooms/dev/read', { id: ids[13] });
  await people.linus.say('ops', 'disk at 71 %');
  await people.grace.call('POST', 'v1/private/ada/messages', { message: 'Lunch after the release?' });

  const sizes = { desktop: { width: 1280, height: 800 }, tablet: { width: 820, height: 1100 }, phone: { width: 390, height: 844 } };
  const shots = [];
  for (const size of Object.keys(sizes)) for (const scheme of ['light', 'dark']) shots.push([`${size}-${scheme}`, size, scheme, 'rooms/dev', scheme === 'dark' ? 'sse' : 'auto']);
  shots.push(
    ['empty', 'desktop', 'light', 'rooms/reading-club', 'poll'], ['door', 'desktop', 'light', null, 'auto'],
    ['phone-rooms', 'phone', 'light', '', 'ws'], ['phone-here', 'phone', 'dark', 'rooms/dev/here', 'ws'],
    ['settings', 'desktop', 'dark', 'rooms/dev/settings', 'ws'], ['people', 'desktop', 'light', 'people', 'ws'],
    ['profile', 'tablet', 'light', 'profile', 'ws'], ['figures', 'desktop', 'dark', 'admin/figures', 'sse'],
    ['private', 'desktop', 'light', 'private/grace', 'ws'], ['transports', 'desktop', 'light', 'rooms/dev', 'sse'],
    ['new', 'phone', 'light', 'new', 'ws'], ['chinese', 'desktop', 'light', 'rooms/dev', 'ws'],
  );
  for (const [name, size, colorScheme, place, transport] of shots) {
    if (process.argv[3] && !name.match(process.argv[3])) continue;
    const phone = size === 'phone';
    const win = await Window.open(browser, server, {
      viewport: sizes[size], colorScheme, deviceScaleFactor: 2, isMobile: phone, hasTouch: phone, timezoneId: 'UTC',
      locale: name === 'chinese' ? 'zh-CN' : 'en-GB',
    });
    await win.page.route('**/rooms/dev/messages?*', async (route) => {
      const answer = await route.fetch();
      const page = await answer.json();
      page.items.forEach((item, i) => {
        const [ago, time] = talk[i];
        item.sent_at = `${new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10)}T${time}:00.000Z`;
      });
      await route.fulfill({ response: answer, json: page });
    });
    await win.page.route('**/rooms/dev/read', (route) => route.fulfill({ status: 204 })); // keeps it unread for the next picture
    if (place === null) {
      await win.page.goto(server.url);
      await win.page.waitForSelector('.door');
    } else {
      await win.page.addInitScript((via) => sessionStorage.setItem('tandem.transport.forced', via), transport);
      await win.enter('login', 'ada');
      await win.page.goto(`${server.url}#/${place}`);
      await until('everything is loaded', () => win.page.evaluate(() => !document.querySelector('[data-loading]')
        && !!document.querySelector(':is(.stage, nav.side) .connection[data-state=live]')));
      if (name === 'figures') await new Promise((next) => setTimeout(next, 25_000));
      if (name === 'transports') await win.page.click('.stage .connection > button');
      await new Promise((next) => setTimeout(next, 400));
    }
    await win.page.mouse.move(700, 40);
    await win.page.screenshot({ path: join(dir, `${name}.png`) });
    await win.close();
  }
} finally {
  streams.abort();
  await browser.close();
  await server.stop();
}
