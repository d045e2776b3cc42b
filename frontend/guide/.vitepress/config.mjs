import { defineConfig } from 'vitepress';
import { order } from '../order.mjs';

export default defineConfig({
  srcDir: 'src',
  outDir: 'dist',
  base: '/guide/',
  cleanUrls: true,
  title: 'tandem',
  description: 'A self-hosted chat backend in one Go binary',
  appearance: false, // its script would have to be in the page, which the content security policy forbids
  ignoreDeadLinks: 'localhostLinks',
  metaChunk: true, // the same
  head: [['link', { rel: 'icon', href: '/favicon.svg' }]],
  transformHtml: (html) => html.replace(/<script id="check-mac-os">.*?<\/script>/s, ''),
  vite: { build: { assetsInlineLimit: 0 }, publicDir: false },
  themeConfig: {
    search: { provider: 'local' },
    sidebar: order.map(([text, ...pages]) => ({
      text,
      items: pages.map(([file, title]) => ({ text: title, link: `/${file}` })),
    })),
    outline: 'deep',
  },
});
