// Way 3: an identity provider signs tokens, and tandem verifies them with its public keys. This program is its own
// provider; with Keycloak, Auth0 or another, the provider serves /jwks.json and /token.
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { json, listen, login, page, whoIs } from '../page.mjs';

const tandem = process.env.TANDEM_URL ?? 'http://localhost:8080';
const { publicKey, privateKey } = generateKeyPairSync('ed25519'); // a real key outlives a restart
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'shop-1', alg: 'EdDSA', use: 'sig' }] };
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(req, res) {
  const name = whoIs(req);
  if (!name) return json(res, {}, 401);
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: 'shop', aud: 'chat', sub: `user-${name}`, preferred_username: name, iat: now, exp: now + 300 };
  const text = `${base64url({ alg: 'EdDSA', kid: 'shop-1' })}.${base64url(claims)}`;
  json(res, { token: `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}` });
}

listen(
  createServer((req, res) => {
    if (req.url === '/jwks.json') return json(res, jwks);
    if (req.url === '/token') return token(req, res);
    if (req.method === 'POST' && req.url === '/login') return void login(req, res);
    void page(req, res, { way: 'issuer', tandem });
  }),
);
