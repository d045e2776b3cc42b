// The service worker, a separate build: one classic script, at the path that its scope needs.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  publicDir: false,
  build: {
    emptyOutDir: false,
    rolldownOptions: {
      input: 'src/worker.ts',
      output: { format: 'iife', entryFileNames: 'worker.js' },
    },
  },
});
