// Leaves of each built file that gets smaller only its gzip, NAME.gz: that is what nearly every browser takes, and it
// is a third of the size within the server's binary.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));

// The guide too, where `make docs` has built it.
const guide = new URL('../../guide/dist/', import.meta.url);
if (existsSync(guide)) cpSync(guide, `${dist}guide`, { recursive: true });

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name);
  if (!entry.isFile() || entry.name === '.keep' || file.includes('.vite')) continue;
  const plain = readFileSync(file);
  const packed = gzipSync(plain, { level: 9 });
  if (packed.length >= plain.length) continue;
  writeFileSync(`${file}.gz`, packed);
  rmSync(file);
}
