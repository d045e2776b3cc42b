// Writes dist/cjs: the same modules for `require`. Their types are the same text, which dist/cjs/package.json makes types
// of CommonJS modules.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const src = new URL('../src/', import.meta.url);
const dist = new URL('../dist/', import.meta.url);
const cjs = new URL('cjs/', dist);
const { compilerOptions } = ts.readConfigFile(new URL('../../tsconfig.base.json', import.meta.url).pathname, (path) =>
  readFileSync(path, 'utf8'),
).config;
const { options, errors } = ts.convertCompilerOptionsFromJson(
  { ...compilerOptions, module: 'CommonJS', moduleResolution: 'Node10', verbatimModuleSyntax: false },
  '.',
);
if (errors.length) throw new Error(ts.flattenDiagnosticMessageText(errors[0].messageText, '\n'));

mkdirSync(cjs, { recursive: true });
for (const file of readdirSync(src)) {
  const name = file.replace(/\.ts$/, '');
  const { outputText } = ts.transpileModule(readFileSync(new URL(file, src), 'utf8'), { compilerOptions: options });
  writeFileSync(new URL(`${name}.js`, cjs), outputText);
  copyFileSync(new URL(`${name}.d.ts`, dist), new URL(`${name}.d.ts`, cjs));
}
writeFileSync(new URL('package.json', cjs), '{ "type": "commonjs", "sideEffects": false }\n');
