// The API reference at /docs: a separate build, because its libraries are large and must not end up in the app.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // the server may serve below any path
  publicDir: false,
  define: { 'process.env.NODE_ENV': '"production"' },
  build: {
    emptyOutDir: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: 'docs.html' },
  },
});
