import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { baseCompile } from '@intlify/message-compiler';
import vue from '@vitejs/plugin-vue';
import { defineConfig, type Plugin } from 'vite';

const target = process.env.TANDEM_URL ?? 'http://localhost:8080';

/** What only views that are loaded later say, by the beginnings of keys. */
const LATE = [
  'admin',
  'beforePost',
  'hooks',
  'inlets',
  'members',
  'moderation',
  'profile',
  'push',
  'retention',
  'sessions',
  'tokens',
];

/**
 * `virtual:locale/en` is src/locales/en.json, compiled and flat: no compiler is sent to the browser. `virtual:late/en` is
 * the rest of it.
 */
function locales(): Plugin {
  const MARK = /^\0?virtual:(locale|late)\/(\w+)$/;
  /** By the whole path of each message: the small vue-i18n looks for nothing else. */
  const compile = (messages: object, path = ''): [string, object][] =>
    Object.entries(messages).flatMap(([key, value]: [string, string | object]) =>
      typeof value === 'string'
        ? [[path + key, baseCompile(value, { jit: true, optimize: true, minify: true, location: false }).ast]]
        : compile(value, `${path}${key}.`),
    );
  return {
    name: 'locales',
    resolveId: (id) => (MARK.test(id) ? `\0${id}` : undefined),
    async load(id) {
      const [, part, language] = MARK.exec(id) ?? [];
      if (!part) return;
      const file = new URL(`./src/locales/${language}.json`, import.meta.url).pathname;
      this.addWatchFile(file);
      const all = Object.entries(JSON.parse(await readFile(file, 'utf8')) as object);
      const messages = Object.fromEntries(all.filter(([key]) => LATE.includes(key) === (part === 'late')));
      return `export default ${JSON.stringify(Object.fromEntries(compile(messages)))}`;
    },
  };
}

type Emoji = { emoji: string; label: string; tags?: string[]; group?: number; version: number };
const NEWEST = 15; // of Unicode's emoji; systems in use have pictures of these
const PICTURE = /(\p{Emoji_Presentation})\ufe0f/gu;
const GROUPS = [0, 1, 3, 4, 5, 6, 7, 8, 9]; // 2 is skin tones and hair, which are none by themselves

/** `virtual:emoji/en` are the emoji of each group, each with its name and more words to find it by. */
function emoji(): Plugin {
  const mark = 'virtual:emoji/';
  const { resolve } = createRequire(import.meta.url);
  return {
    name: 'emoji',
    resolveId: (id) => (id.startsWith(mark) ? `\0${id}` : undefined),
    async load(id) {
      if (!id.startsWith(`\0${mark}`)) return;
      const file = resolve(`emojibase-data/${id.slice(mark.length + 1)}/data.json`);
      const all = JSON.parse(await readFile(file, 'utf8')) as Emoji[];
      const groups = GROUPS.map((order) =>
        all
          .filter(({ group, version }) => group === order && version <= NEWEST)
          // A selector where none is needed would make of one reaction two.
          .map(({ emoji, label, tags = [] }) => [emoji.replace(PICTURE, '$1'), label, tags.join(' ')]),
      );
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(groups))})`;
    },
  };
}

export default defineConfig({
  base: './', // the server may serve below any path
  plugins: [vue(), locales(), emoji()],
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: true,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    // A picture in a style would be a data: URL, which the content security policy has no place for.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    rolldownOptions: { input: 'index.html' },
  },
  // The page and the API are one origin, in development as later.
  server: { proxy: { '/v1': { target, ws: true }, '/openapi.yaml': { target } } },
});
