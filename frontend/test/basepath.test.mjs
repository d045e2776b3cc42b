// The app, the reference, cookies, links and the SDK below a path, behind nginx, Caddy and HAProxy, each with its file
// in deploy/ and the commented lines for base-path. Also what `tandem doctor` reports behind each.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PASSWORD, Server, Window, freePort, launch, until } from './harness.mjs';

const deploy = (name) => readFile(fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url)), 'utf8');

/** The text with replacements. Each replaced part must exist. */
const change = (text, ...parts) => parts.reduce((now, [from, to]) => {
  assert.ok(now.search(from) >= 0, `${from} not found in the file`);
  return now.replace(from, to);
}, text);

const program = (name) => [`/usr/sbin/${name}`, `/usr/bin/${name}`].find(existsSync) ?? name;

const PROXIES = {
  async nginx(dir, at, node) {
    const text = change(await deploy('nginx.conf'),
      [/listen 80;/, `listen 127.0.0.1:${at};`], [/server tandem-1:8080/, `server 127.0.0.1:${node}`], [/.*server tandem-2.*\n/, ''],
      [/# (location ~ .*\n)\s*location \/ \{\n/, '$1'], [/worker_rlimit_nofile.*\n/, ''], [/worker_connections 30000/, 'worker_connections 256'],
      [/http \{\n/, `http {\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((t) => `${t}_temp_path ${dir}/${t};`).join('\n')}\naccess_log off;\n`]);
    const user = process.getuid() === 0 ? 'user root; ' : '';
    await writeFile(join(dir, 'conf'), text);
    return [program('nginx'), ['-p', dir, '-c', join(dir, 'conf'), '-g', `${user}daemon off; pid ${dir}/pid; error_log stderr;`]];
  },
  async caddy(dir, at, node) {
    const text = change(await deploy('Caddyfile'),
      [/\{\$SITE::80\} \{\n/, `{\n\tadmin off\n}\nhttp://127.0.0.1:${at} {\n\t@chat path /chat /chat/*\n`], [/\treverse_proxy \{\$NODES[^}]*\}/, `\treverse_proxy @chat 127.0.0.1:${node}`]);
    assert.match(text, /"@chat path \/chat \/chat\/\*"/, 'the comment names the matcher');
    await writeFile(join(dir, 'conf'), text);
    return [program('caddy'), ['run', '--config', join(dir, 'conf'), '--adapter', 'caddyfile'], { XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }];
  },
  async haproxy(dir, at, node) {
    const text = change(await deploy('haproxy.cfg'),
      [/bind :80/, `bind 127.0.0.1:${at}`], [/server tandem-1 tandem-1:8080/, `server tandem-1 127.0.0.1:${node}`], [/.*server tandem-2.*\n/, ''],
      [/# (use_backend tandem .*\n)\s*default_backend tandem\n/, '$1']);
    await writeFile(join(dir, 'conf'), text);
    return [program('haproxy'), ['-db', '-f', join(dir, 'conf')]];
  },
};

let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start('--base-path=/chat', '--trusted-proxies=127.0.0.1')]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const [name, configure] of Object.entries(PROXIES)) {
  test(`everything works below a path behind ${name}`, async () => {
    const dir = await mkdtemp(join(tmpdir(), `tandem-${name}-`));
    const port = await freePort();
    const [command, args, env] = await configure(dir, port, server.port);
    const proxy = spawn(command, args, { env: { ...process.env, ...env } });
    let said = '';
    for (const out of [proxy.stdout, proxy.stderr]) out.on('data', (data) => { said += data; });
    const ended = once(proxy, 'exit');
    const origin = `http://127.0.0.1:${port}`;
    const site = Object.assign(Object.create(server), { url: `${origin}/chat/` });
    try {
      await until(`${name} forwards requests`, async () => {
        if (proxy.exitCode !== null) throw new Error(`${name} exited: ${said}`);
        return (await fetch(`${site.url}healthz`)).ok;
      });
      assert.notEqual((await fetch(`${origin}/v1/me`)).status, 401, 'the root does not serve the API');
      assert.equal((await fetch(`${origin}/chat`)).url, site.url);

      // The app.
      const ada = `ada-${name}`;
      const win = await Window.open(browser, site);
      await win.enter('signup', ada);
      await win.go(name);
      await win.say('over the socket');
      await win.over('ws');
      await until('the message sent over the WebSocket is shown', async () => (await win.texts()).includes('over the socket'));
      for (const transport of ['sse', 'poll']) {
        await win.use(transport);
        await win.over(transport);
        await win.say(`over ${transport}`);
        await until(`the message sent over ${transport} is shown`, async () => (await win.texts()).includes(`over ${transport}`));
      }
      await win.page.reload();
      await win.at(name);
      assert.ok(win.page.url().startsWith(`${site.url}#/rooms/`), win.page.url());

      // Links to an inlet and to a file.
      const me = await site.person(ada, 'login');
      const { url: inlet } = await me.call('POST', `v1/rooms/${name}/inlets`, { name: 'ci' });
      assert.ok(inlet.startsWith(`${site.url}in/`), inlet);
      assert.ok((await fetch(inlet, { method: 'POST', body: 'by the inlet' })).ok);
      await until('the message of the inlet is shown', async () => (await win.texts()).includes('by the inlet'));
      const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==', 'base64');
      await win.page.setInputFiles('input[type=file]', { name: 'dot.png', mimeType: 'image/png', buffer: picture });
      await win.say('a picture');
      const shown = win.page.locator('.row img').first();
      await until('the picture is loaded', () => shown.evaluate((img) => img.complete && img.naturalWidth > 0));
      assert.ok((await shown.evaluate((img) => img.src)).startsWith(`${site.url}v1/files/`));

      // The cookie, with the browser's own EventSource.
      await win.page.evaluate(async ([username, password, room]) => {
        await fetch('v1/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username, password, cookie: true }) });
        window.heard = [];
        const source = new EventSource(`v1/events?room=${room}`);
        source.addEventListener('stream_open', () => window.heard.push('open'));
        source.addEventListener('chat_message', (event) => window.heard.push(JSON.parse(event.data).message));
      }, [ada, PASSWORD, name]);
      await until('the stream is open', () => win.page.evaluate(() => window.heard.includes('open')));
      await me.say(name, 'to the EventSource');
      await until('the EventSource gets the message', () => win.page.evaluate(() => window.heard.includes('to the EventSource')));
      assert.deepEqual((await win.context.cookies(site.url)).map(({ name, path }) => [name, path]), [['tandem_stream', '/chat']]);

      // The reference, through the app's link.
      await win.page.click('nav a[href="docs"]');
      await win.page.waitForURL(`${site.url}docs`);
      for (const text of ['/v1/rooms', '/chat']) {
        await until(`${text} is shown`, () => win.page.evaluate((t) => document.body.innerText.includes(t), text));
      }
      // The guide, if it is in this binary: its pages, scripts, styles and links are below the path too.
      const guide = await fetch(`${site.url}guide/`);
      if (guide.ok || process.env.TANDEM_REQUIRE === 'all') {
        assert.equal(guide.status, 200);
        const missing = [];
        win.page.on('response', (res) => { if (res.status() >= 400) missing.push(res.url()); });
        await win.page.goto(`${site.url}guide/`);
        await win.page.locator('.VPSidebar a', { hasText: 'How it works' }).click();
        await win.page.waitForURL(`${site.url}guide/how-it-works`);
        await win.page.locator('main img').nth(2).waitFor();
        assert.deepEqual(missing, []);
      }
      assert.deepEqual(win.faults, []);
      await win.close();

      // The doctor.
      const report = await new Promise((done) => execFile(process.env.TANDEM_BIN,
        ['doctor', site.url, '--json', '--idle', '1s', '--wait', '5s', '--signup'], (err, out) => done(JSON.parse(out))));
      const bad = report.results.filter(({ result }) => result === 'trouble' || result === 'unknown');
      assert.deepEqual(bad, [], JSON.stringify(report.results, null, 1));
      for (const check of ['WebSocket', 'SSE by GET', 'SSE by POST', 'NDJSON', 'long poll', 'buffering', 'cookie', 'Origin']) {
        assert.ok(report.results.some((one) => one.check === check && one.result === 'good'), `${check}: ${JSON.stringify(report.results)}`);
      }
    } finally {
      proxy.kill(name === 'nginx' ? 'SIGTERM' : 'SIGKILL'); // killed, its workers would survive and keep its output open
      await ended;
      await rm(dir, { recursive: true, force: true });
    }
  });
}
