// Calls to the REST API, and the session. The session lives in localStorage, which all tabs share: it is
// read afresh at every use, since another tab may have refreshed it or logged out.
const KEY = 'tandem.session';
const PATIENCE = 15_000; // ms until a call without an answer counts as failed

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.fields = body.errors ?? []; // [{field, detail}]
    this.retryAfter = Number(retryAfter) * 1000 || undefined; // ms
  }
}

export function session() {
  return JSON.parse(localStorage.getItem(KEY));
}

export function forget() {
  localStorage.removeItem(KEY);
  dispatchEvent(new Event('signed-out'));
}

function keep(s) {
  // Renewed after nine tenths of its life: early enough for a slow network and for a clock that drifts.
  localStorage.setItem(KEY, JSON.stringify({ ...s, renew_at: Date.now() + s.expires_in * 900 }));
}

async function send(method, path, { body, headers, signal, token } = {}) {
  const res = await fetch(path, {
    method,
    signal: signal ?? AbortSignal.timeout(PATIENCE),
    cache: 'no-store',
    credentials: 'omit',
    headers: {
      ...(body && { 'Content-Type': 'application/json' }),
      ...(token && { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
  if (res.ok) return res;
  const problem = await res.json().catch(() => ({}));
  throw new Problem(res.status, problem, res.headers.get('Retry-After'));
}

/** how is 'login' or 'signup'. */
export async function authenticate(how, username, password) {
  const res = await send('POST', `v1/auth/${how}`, { body: { username, password } });
  keep(await res.json());
}

let refreshing = null; // one at a time: a refresh token is good for one use

/** A token that is good for a while; never the one that was just refused. */
export function accessToken(refused) {
  const s = session();
  if (s && s.access_token !== refused && Date.now() < s.renew_at) return Promise.resolve(s.access_token);
  refreshing ??= refresh(s).finally(() => { refreshing = null; });
  return refreshing;
}

async function refresh(old) {
  const unchanged = () => session()?.refresh_token === old?.refresh_token;
  try {
    if (!old) throw new Problem(401, { detail: 'Logged out.' });
    const res = await send('POST', 'v1/auth/refresh', { body: { refresh_token: old.refresh_token } });
    const renewed = await res.json();
    if (unchanged()) keep(renewed);
  } catch (err) {
    if (unchanged()) {
      if (err.status === 400 || err.status === 401) forget();
      throw err;
    }
  }
  const now = session(); // ours, or what another tab put there meanwhile
  if (!now) throw new Problem(401, { detail: 'Logged out.' });
  return now.access_token;
}

/** A call in the session's name. Throws Problem, or TypeError and DOMException where there was no answer. */
export async function request(method, path, options) {
  const token = await accessToken();
  try {
    return await send(method, path, { ...options, token });
  } catch (err) {
    if (err.status !== 401) throw err;
    return send(method, path, { ...options, token: await accessToken(token) });
  }
}

export async function call(method, path, options) {
  return (await request(method, path, options)).json();
}

export const roomPath = (room) => `v1/rooms/${encodeURIComponent(room)}`;
