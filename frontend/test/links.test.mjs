// Links in the documentation lead to existing files and headings.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import { order } from '../guide/order.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const markdown = (dir) => readdirSync(join(root, dir)).filter((name) => name.endsWith('.md')).map((name) => join(dir, name));
const files = [...markdown('.'), ...markdown('docs'), ...markdown('docs/decisions'), 'frontend/client/README.md'];

/** The text without code, in which brackets are not links. */
const prose = (file) => readFileSync(join(root, file), 'utf8').replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]]/g, ' '));

function anchors(file) {
  const slugs = new GithubSlugger();
  const text = readFileSync(join(root, file), 'utf8').replace(/^```.*?^```/gms, '');
  return [...text.matchAll(/^#+ +(.*)$/gm)].map(([, heading]) => slugs.slug(heading.replace(/[`*]|\[|\]\([^)]*\)/g, '')));
}

test('every link in the documentation works', () => {
  const dead = [];
  let checked = 0;
  for (const file of files) {
    for (const [, link] of prose(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?|mailto):/.test(link)) continue;
      checked++;
      const [path, anchor] = link.split('#');
      const to = path ? relative(root, join(root, dirname(file), path)) : file;
      if (!existsSync(join(root, to))) dead.push(`${file}: ${link}`);
      else if (anchor && statSync(join(root, to)).isFile() && !anchors(to).includes(anchor)) dead.push(`${file}: ${link}: no such heading`);
    }
  }
  assert.deepEqual(dead, []);
  assert.ok(checked > 100, `checked only ${checked} links`);
});

test('the guide has every page of docs/, once', () => {
  const pages = order.flatMap(([, ...pages]) => pages.map(([file]) => file));
  const docs = markdown('docs').map((file) => file.slice('docs/'.length, -'.md'.length));
  assert.deepEqual(pages.toSorted(), [...docs, 'sdk'].sort());
});
