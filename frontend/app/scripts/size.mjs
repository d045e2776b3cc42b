// Fails when what a browser fetches until a room stands on the screen, each file as pack.mjs left it, is more than promised.
import { existsSync, readFileSync, statSync } from 'node:fs';

const MOST = 120_000; // bytes

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const files = new Set(['index.html', 'favicon.svg']);

/** A chunk, and what it imports before it runs. */
function add(name) {
  const { file, css = [], imports = [] } = manifest[name];
  if (files.has(file)) return;
  [file, ...css].forEach((one) => files.add(one));
  imports.forEach(add);
}
const packed = (file) => {
  const gz = new URL(`${file}.gz`, dist);
  return statSync(existsSync(gz) ? gz : new URL(file, dist)).size;
};
const named = (part) => Object.keys(manifest).filter((name) => name.includes(part));

add('index.html');
add('src/views/RoomView.vue');
named('tabs').forEach(add);
const languages = named('locale/').sort((a, b) => packed(manifest[b].file) - packed(manifest[a].file));
add(languages[0]); // the longest one

const sum = [...files].reduce((bytes, file) => bytes + packed(file), 0);
console.log(`the app: ${sum} bytes gzipped until a room stands there, of ${MOST}, in ${files.size} files`);
if (sum > MOST) process.exit(1);
