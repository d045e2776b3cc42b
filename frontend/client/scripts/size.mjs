// Fails when the core, bundled and gzipped with what it depends on, is larger than promised. What tabs share, and push,
// are chunks of their own, which only browsers load.
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const MOST = 14 * 1024; // bytes

const bundle = await rolldown({ input: new URL('../dist/index.js', import.meta.url).pathname, platform: 'browser' });
const { output } = await bundle.generate({ format: 'es', minify: true });
await bundle.close();

const sum = (chunks) => chunks.reduce((bytes, { code }) => bytes + gzipSync(code).length, 0);
const first = sum(output.filter((chunk) => !chunk.isDynamicEntry));
console.log(
  `@tandem/client: ${first} bytes gzipped, of ${MOST}; and ${sum(output) - first} for sharing between tabs and for push`,
);
if (first > MOST) process.exit(1);
