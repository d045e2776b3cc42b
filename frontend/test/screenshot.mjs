// Makes the pictures of the page: `TANDEM_BIN=… node test/screenshot.mjs DIR` writes desktop.png, phone.png and
// a few more. The conversation goes through the real server; only its times are spread over a morning, since
// the server will not be told when something was said.
import { join } from 'node:path';
import { Server, Window, launch, until } from './harness.mjs';

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
const server = await Server.start();
const browser = await launch();
const streams = new AbortController();
try {
  const people = {};
  for (const name of new Set(talk.map(([, , name]) => name))) people[name] = await server.person(name);
  for (const room of Object.keys(rooms)) await people.ada.enter(room);
  for (const [room, names] of Object.entries(rooms)) {
    for (const name of names) await people[name].follow(room, streams.signal);
  }
  for (const [, , name, text] of talk) await people[name].say('dev', text);

  const shots = [
    ['desktop', { width: 1280, height: 800 }, 'light', 'ws', 'dev'],
    ['desktop-dark', { width: 1280, height: 800 }, 'dark', 'sse', 'dev'],
    ['empty', { width: 1280, height: 800 }, 'light', 'sse', 'reading-club'],
    ['phone', { width: 390, height: 844 }, 'dark', 'sse', 'dev'],
    ['phone-light', { width: 390, height: 844 }, 'light', 'ws', 'dev'],
    ['phone-rooms', { width: 390, height: 844 }, 'dark', 'sse', ''],
    ['door', { width: 1280, height: 800 }, 'light', 'ws', null],
  ];
  for (const [name, viewport, colorScheme, transport, room] of shots) {
    const phone = viewport.width < 600;
    const win = await Window.open(browser, server, {
      viewport, colorScheme, deviceScaleFactor: 2, isMobile: phone, hasTouch: phone, locale: 'en-GB', timezoneId: 'UTC',
    });
    await win.page.route('**/messages?*', async (route) => {
      const answer = await route.fetch();
      const page = await answer.json();
      page.items.forEach((item, i) => {
        const [ago, time] = talk[i];
        const day = new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
        item.sent_at = `${day}T${time}:00.000Z`;
      });
      await route.fulfill({ response: answer, json: page });
    });
    if (room === null) {
      await win.page.goto(server.url);
    } else {
      await win.enter('login', 'ada', transport);
      if (room) await win.page.click(`#room-list a:has-text("${room}")`);
      if (room) await win.live();
      await until('the rooms are listed', async () => await win.page.locator('#room-list a').count() === Object.keys(rooms).length);
    }
    await win.page.screenshot({ path: join(dir, `${name}.png`) });
    await win.close();
  }
} finally {
  streams.abort();
  await browser.close();
  await server.stop();
}
