// @tandem/client as npm packs it, in the tools that people use: the types that TypeScript finds, and loading it in
// Node, Jest, Metro (React Native), Vite, Next and Nuxt. What a server renders shows "connecting".
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import ts from 'typescript';
import { build } from 'vite';
import { WebSocket } from 'ws';
import { PASSWORD, Server, freePort, until } from './harness.mjs';

const run = promisify(execFile);
const installed = fileURLToPath(new URL('../fixtures', import.meta.url));
const { resolve } = createRequire(join(installed, 'package.json'));
const RENDERED = 'connecting 0 true ada bob,cy';

// A separate folder for the builds: this package, and the installed ones next to it.
let place;
before(async () => {
  assert.ok(existsSync(join(installed, 'node_modules')), 'run: make frontend/fixtures/node_modules');
  place = mkdtempSync(join(installed, '.run-'));
  for (const tool of ['jest', 'metro', 'next', 'nuxt', 'types', 'vite']) cpSync(join(installed, tool), join(place, tool), { recursive: true });
  const client = fileURLToPath(new URL('../client', import.meta.url));
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', place], { cwd: client });
  const into = join(place, 'node_modules/@tandem/client');
  mkdirSync(into, { recursive: true });
  await run('tar', ['xzf', join(place, 'tandem-client-0.1.0.tgz'), '-C', into, '--strip-components=1']);
});
after(() => place && rmSync(place, { recursive: true, force: true }));

/** timeout: milliseconds, after which it is killed and has failed; 0 for none. */
const node = (args, env, timeout = 0) =>
  run(process.execPath, args, { cwd: place, env: { ...process.env, ...env, NODE_ENV: 'production' }, maxBuffer: 1 << 24, timeout })
    .catch((err) => { throw new Error(`${err.stdout}\n${err.stderr}`); });

for (const [how, file, options] of [
  ['node10', 'use.ts', { module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10 }],
  ['node16, from a CommonJS module', 'use.cts', { module: ts.ModuleKind.Node16 }],
  ['node16, from an ES module', 'use.mts', { module: ts.ModuleKind.Node16 }],
  ['bundler', 'use.ts', { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }],
]) {
  test(`types resolve with ${how}`, () => {
    const path = join(place, 'types', file);
    if (file !== 'use.ts') cpSync(join(place, 'types/use.ts'), path);
    const program = ts.createProgram([path], {
      ...options, target: ts.ScriptTarget.ES2022, strict: true, noEmit: true, skipLibCheck: true, types: [],
      typeRoots: [],
    });
    const faults = ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
    assert.deepEqual(faults, []);
    const cjs = program.getSourceFiles().some(({ fileName }) => fileName.endsWith('client/dist/cjs/index.d.ts'));
    assert.equal(cjs, how === 'node10' || how.includes('CommonJS'));
  });
}

test('Node requires it, and imports it', async () => {
  const names = ['', '/react', '/vue', '/worker'].map((entry) => `'@tandem/client${entry}'`);
  const required = await node(['-e', `for (const m of [${names.map((n) => `require(${n})`)}]) console.log(Object.keys(m).sort().join())`]);
  const imported = await node(['--input-type=module', '-e',
    `for (const m of [${names.map((n) => `await import(${n})`)}]) console.log(Object.keys(m).sort().join())`]);
  assert.equal(required.stdout, imported.stdout);
  assert.match(required.stdout, /TandemError,createClient/);
});

// Its stream is over SSE and is just trying WebSocket again: no timer of that may outlive it.
test('a program that has closed its stream ends', async () => {
  const server = await Server.start();
  try {
    const { stdout } = await node(['--input-type=module', '-e', `
      import { createClient } from '@tandem/client';
      const wait = globalThis.setTimeout;
      globalThis.setTimeout = (fn, ms, ...args) => wait(fn, ms > 60_000 ? 0 : ms, ...args); // the ten minutes until it tries again
      let tried = 0;
      class WebSocket { // never opens
        constructor() {
          if (++tried < 2) return;
          globalThis.setTimeout = wait;
          console.log('closed while ' + stream.status.state + ' over ' + stream.status.transport);
          stream.close();
        }
        close() {}
      }
      const client = createClient({ url: '${server.url}', WebSocket, transports: ['ws', 'sse'], timing: { firstEvent: 1000 } });
      await client.signup('ada', '${PASSWORD}');
      const stream = client.stream();
    `], {}, 60_000);
    assert.equal(stdout, 'closed while live over sse\n');
  } finally {
    await server.stop();
  }
});

test('Jest imports, requires and mocks it', async () => {
  const { stderr } = await run(process.execPath, [resolve('jest/bin/jest'), '--rootDir', join(place, 'jest'), '--ci'], {
    cwd: join(place, 'jest'), env: { ...process.env, NODE_ENV: 'test' },
  }).catch((err) => { throw new Error(err.stderr); });
  assert.match(stderr, /Tests: +2 passed/);
});

// React Native without a phone: Metro resolves and bundles in both of its ways, and the bundle runs with only what
// React Native has: no document, no streams from fetch, a WebSocket.
for (const exported of [true, false]) {
  test(`a bundle by Metro ${exported ? 'by exports' : 'by main'} chats as in React Native`, async () => {
    const root = join(place, `metro-${exported}`);
    cpSync(join(place, 'metro'), root, { recursive: true });
    const out = join(root, 'bundle.js');
    const [server] = await Promise.all([Server.start(), node(['-e', `
      const Metro = require(${JSON.stringify(resolve('metro'))});
      const installed = (name) => ${JSON.stringify(join(installed, 'node_modules/'))} + name;
      (async () => {
        const config = await Metro.loadConfig({ cwd: ${JSON.stringify(root)} });
        await Metro.runBuild({
          ...config, projectRoot: ${JSON.stringify(root)}, maxWorkers: 1, cacheStores: [], reporter: { update() {} },
          watchFolders: [${JSON.stringify(place)}, ...['react', 'eventsource-parser', 'metro-runtime', '@babel/runtime'].map(installed)],
          resolver: { ...config.resolver, useWatchman: false, unstable_enablePackageExports: ${exported}, unstable_conditionNames: ['react-native'] },
          transformer: { ...config.transformer, getTransformOptions: async () => ({ transform: { experimentalImportSupport: true } }) },
        }, { entry: 'index.js', out: ${JSON.stringify(out)}, platform: 'ios', dev: false, minify: false });
      })();`])]);
    try {
      class Response { text() { return this.said; } }
      const native = {
        // An app is never closed: what it waits for must not keep the test running.
        setTimeout: (...args) => setTimeout(...args).unref(),
        console, clearTimeout, AbortController, URL, WebSocket, Response,
        fetch: async (...args) => {
          const { ok, status, headers, ...rest } = await fetch(...args).then(async (res) => ({ ok: res.ok, status: res.status, headers: res.headers, said: await res.text() }));
          return Object.assign(new Response(), { ok, status, headers, ...rest, json: async () => JSON.parse(rest.said) });
        },
        navigator: { product: 'ReactNative' },
      };
      native.window = native.global = native.globalThis = native;
      runInNewContext(readFileSync(out, 'utf8'), native);
      const { app } = native;
      assert.equal(app.hooks, 'functionfunction');
      const heard = await app.run({ url: server.url, username: 'ada', password: PASSWORD });
      assert.deepEqual({ ...heard }, { message: 'from the phone', transport: 'ws' });
    } finally {
      await server.stop();
    }
  });
}

test('Vite bundles it for browsers and for a server', async () => {
  const entry = join(place, 'vite/entry.js');
  for (const ssr of [false, true]) {
    const { output } = await build({
      root: join(place, 'vite'), configFile: false, logLevel: 'error', ssr: { noExternal: true },
      build: { write: false, ssr: ssr && entry, lib: ssr ? undefined : { entry, formats: ['es'] } },
    }).then((built) => [built].flat()[0]);
    const first = output.find((chunk) => chunk.isEntry);
    assert.match(first.code, /createClient needs a url/);
    assert.ok(!output.some(({ code }) => code?.includes('exports.createClient')), 'the bundle uses the ES module');
    // The code for sharing between tabs is a chunk that is loaded on demand.
    assert.ok(output.some((chunk) => chunk.isDynamicEntry && chunk.code.includes('BroadcastChannel')));
  }
});

/** What a built server answers at /, started on a free port. */
async function rendered(args, env) {
  const port = await freePort();
  const child = spawn(process.execPath, args(port), {
    cwd: place, env: { ...process.env, ...env(port), NODE_ENV: 'production' }, stdio: 'ignore',
  });
  try {
    return await until('the page is rendered', async () => {
      const res = await fetch(`http://127.0.0.1:${port}/`);
      return res.ok && res.text();
    }, 120_000);
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

const shown = (html) => /<p id="chat"[^>]*>([^<]*)<\/p>/.exec(html)?.[1];

test('Next renders a page with hooks as connecting', async () => {
  const at = join(place, 'next');
  const next = resolve('next/dist/bin/next');
  const quiet = { NEXT_TELEMETRY_DISABLED: '1' };
  await node([next, 'build', at], quiet);
  const html = await rendered((port) => [next, 'start', at, '-H', '127.0.0.1', '-p', String(port)], () => quiet);
  assert.equal(shown(html), RENDERED);
});

test('Nuxt renders a page with composables as connecting', async () => {
  const at = join(place, 'nuxt');
  await node([join(installed, 'node_modules/nuxt/bin/nuxt.mjs'), 'build', at], { NUXT_TELEMETRY_DISABLED: '1' });
  const html = await rendered(() => [join(at, '.output/server/index.mjs')], (port) => ({ HOST: '127.0.0.1', PORT: String(port) }));
  assert.equal(shown(html), RENDERED);
});
