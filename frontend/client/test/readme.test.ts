// The snippets of README.md, run: those in TypeScript one after the other against the real program, the hooks' built. Those
// of the guide's pages are built too.
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, expect, test, vi } from 'vitest';
import { compileScript, parse } from 'vue/compiler-sfc';
import { server } from './people.js';

const running = server();
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const readme = readFileSync(here('../README.md'), 'utf8');
const snippets = (kind: string, text = readme) =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1]!);

const scratch = here('./readme');
afterAll(() => rm(scratch, { recursive: true, force: true }));

test('the snippets in TypeScript run', async () => {
  const said: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...all: unknown[]) => void said.push(all.join(' ')));
  const all = snippets('ts');
  expect(all.length).toBeGreaterThan(6);
  const text = all.join('\n').replaceAll('http://localhost:8080', running.now.url.replace(/\/$/, ''));
  await mkdir(scratch, { recursive: true });
  const imports = text.match(/^import .*$/gm)!;
  const body = text.replace(/^import .*$/gm, '').replaceAll("'@tandem/client'", "'../../src/index.js'");
  const head = [...new Set(imports)].join('\n').replaceAll("'@tandem/client'", "'../../src/index.js'");
  await writeFile(`${scratch}/run.ts`, `${head}\n${body}\nstream.close();\noff();\nleave();\nexport {};\n`);
  const name = './readme/run.ts';
  await import(/* @vite-ignore */ name);
  vi.restoreAllMocks();
  expect(said).toContain('ada: hello');
  expect(said.some((line) => /^live (ws|sse)$/.test(line))).toBe(true);
  expect(said.some((line) => line.startsWith('taken 409'))).toBe(true);
});

test('the snippets for React and Vue type-check', async () => {
  await mkdir(scratch, { recursive: true });
  const files: string[] = [];
  const keep = async (name: string, text: string) => {
    await writeFile(`${scratch}/${name}`, text);
    files.push(`${scratch}/${name}`);
  };
  await keep('react.tsx', snippets('tsx').join('\n'));
  const script = parse(snippets('vue')[0]!).descriptor.scriptSetup!.content;
  await keep('vue.ts', `${script}\nvoid [messages.value[0]?.key, send, users.value.join()];\nexport {};\n`);
  const guide = (page: string) => readFileSync(here(`../../../docs/${page}.md`), 'utf8');
  await keep('guide-react.tsx', snippets('tsx', guide('react')).join('\n'));
  await keep('guide-mobile.ts', snippets('ts', guide('mobile')).join('\n'));
  await keep('guide-main.ts', `${snippets('ts', guide('vue'))[0]!.replace('./App.vue', './App.js')}\nexport {};\n`);
  const App = compileScript(parse(snippets('vue', guide('vue'))[0]!).descriptor, { id: 'app', inlineTemplate: true });
  await keep('App.ts', App.content);
  const config = ts.readConfigFile(here('../tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, here('..'));
  const paths = {
    '@tandem/client': ['./src/index.ts'],
    '@tandem/client/react': ['./src/react.ts'],
    '@tandem/client/vue': ['./src/vue.ts'],
  };
  const program = ts.createProgram(files, { ...options, jsx: ts.JsxEmit.ReactJSX, paths, pathsBasePath: here('..') });
  const faults = ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
  expect(faults).toEqual([]);
});
