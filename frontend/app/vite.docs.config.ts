// The API reference at /docs, a build of its own: what it is made of is large, and not to be mixed with the app.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // below whatever path the server has
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
