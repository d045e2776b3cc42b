// Copies docs/ to src/ as pages of the site. What they link to in the repository and not in the site loses its link; the
// SDK's README is a page too.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const docs = new URL('../../docs/', import.meta.url);
const src = new URL('src/', import.meta.url);
const sdk = '../client/README.md';

/** Where a link of docs/ leads in the site; undefined where nowhere. */
function target(link) {
  if (/^(https?:|#)/.test(link)) return link;
  if (link.startsWith('../frontend/client/README.md')) return link.replace('../frontend/client/README.md', 'sdk.md');
  return /^[\w-]+\.md/.test(link) || link.startsWith('images/') ? link : undefined;
}

const linked = (text, where = (link) => link) =>
  text.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (_, picture, words, link) => {
    if (link.endsWith('/openapi.yaml')) return `<a href="/openapi.yaml" target="_self">openapi.yaml</a>`;
    const to = target(where(link));
    return to ? `${picture}[${words}](${to})` : words;
  });

rmSync(src, { recursive: true, force: true });
mkdirSync(src);
cpSync(new URL('images/', docs), new URL('images/', src), { recursive: true });
for (const file of readdirSync(docs).filter((name) => name.endsWith('.md'))) {
  writeFileSync(new URL(file, src), linked(readFileSync(new URL(file, docs), 'utf8')));
}
const readme = readFileSync(new URL(sdk, import.meta.url), 'utf8');
writeFileSync(
  new URL('sdk.md', src),
  linked(readme, (link) => link.replace(/^\.\.\/\.\.\/docs\//, '')),
);
writeFileSync(new URL('index.md', src), linked(readFileSync(new URL('start.md', docs), 'utf8')));
