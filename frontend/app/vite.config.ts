import { readFile } from 'node:fs/promises';
import { baseCompile } from '@intlify/message-compiler';
import vue from '@vitejs/plugin-vue';
import { defineConfig, type Plugin } from 'vite';

const target = process.env.TANDEM_URL ?? 'http://localhost:8080';

/** `virtual:locale/en` is src/locales/en.json, compiled: no compiler is sent to the browser. */
function locales(): Plugin {
  const mark = 'virtual:locale/';
  const file = (id: string) => new URL(`./src/locales/${id.slice(mark.length + 1)}.json`, import.meta.url).pathname;
  const compile = (messages: object): object =>
    Object.fromEntries(
      Object.entries(messages).map(([key, value]: [string, string | object]) => [
        key,
        typeof value === 'string'
          ? baseCompile(value, { jit: true, optimize: true, minify: true, location: false }).ast
          : compile(value),
      ]),
    );
  return {
    name: 'locales',
    resolveId: (id) => (id.startsWith(mark) ? `\0${id}` : undefined),
    async load(id) {
      if (!id.startsWith(`\0${mark}`)) return;
      this.addWatchFile(file(id));
      const messages = JSON.parse(await readFile(file(id), 'utf8')) as object;
      return `export default ${JSON.stringify(compile(messages))}`;
    },
  };
}

export default defineConfig({
  plugins: [vue(), locales()],
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
