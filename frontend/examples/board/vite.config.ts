import { defineConfig } from 'vite';

const target = process.env.TANDEM_URL ?? 'http://localhost:8080';

// The page and the API are one origin, in development as later behind the same host.
const proxy = { '/v1': { target, ws: true } };

export default defineConfig({ server: { proxy }, preview: { proxy } });
