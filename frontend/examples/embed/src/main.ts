// The page of all three ways. They differ in how the client gets its tokens.
import { createClient, memoryStore, type ClientOptions, type Session } from '@tandem/client';

interface Config {
  way: 'accounts' | 'sessions' | 'issuer';
  tandem: string;
}

async function ask<T>(path: string, body?: object): Promise<T> {
  const res = await fetch(path, {
    method: body ? 'POST' : 'GET',
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!res.ok) throw new Error(`${path}: ${String(res.status)}`);
  return (await res.json()) as T;
}

const config = ask<Config>('/config.json');
const form = document.querySelector<HTMLFormElement>('#login')!;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  const [name, password, how] = ['name', 'password', 'how'].map((key) => data.get(key) as string);
  void enter(name!, password!, how!);
});

async function enter(name: string, password: string, how: string): Promise<void> {
  const { way, tandem: url } = await config;
  const options: ClientOptions = { url, live: { rooms: ['lobby'], history: 20 } };
  if (way === 'accounts') {
    const client = createClient(options);
    await (how === 'signup' ? client.signup(name, password) : client.login(name, password));
    return show(client, name);
  }
  await ask('/login', { name, password }); // the shop's own
  if (way === 'issuer') {
    const getToken = async () => (await ask<{ token: string }>('/token')).token;
    return show(createClient({ ...options, getToken }), name);
  }
  // A session created by the backend is refreshed like any other. Do it at once, so that the server sees this browser.
  const session = memoryStore();
  await session.set({ ...(await ask<Session>('/chat-session', {})), renew_at: 0 });
  return show(createClient({ ...options, session }), name);
}

async function show(client: ReturnType<typeof createClient>, name: string): Promise<void> {
  const room = client.room('lobby');
  await room.enter();
  form.hidden = true;
  document.querySelector<HTMLElement>('#chat')!.hidden = false;
  document.querySelector('#me')!.textContent = name;
  client.onEvent((event) => {
    if (event.type !== 'chat_message') return;
    const line = document.createElement('li');
    line.textContent = `${event.user}: ${event.message}`;
    document.querySelector('#messages')!.append(line);
  });
  const post = document.querySelector<HTMLFormElement>('#post')!;
  post.addEventListener('submit', (event) => {
    event.preventDefault();
    room.send(new FormData(post).get('text') as string);
    post.reset();
  });
}
