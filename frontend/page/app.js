// The page: who is logged in, which rooms there are, which one is open, and the composer. What is open stands
// in the URL's hash (#room=lobby&transport=sse), so that a reload stays where it was.
import { authenticate, call, forget, roomPath, session } from './api.js';
import { $, make } from './dom.js';
import { Outbox } from './outbox.js';
import { Room } from './room.js';

const LONGEST = 4_000; // characters in a message
const LOOK = 30_000; // ms between looks at the list of rooms

let view = null; // the open Room
let shown = ''; // whose page this is; empty at the door
const drafts = new Map(); // room → what stands in its composer
const outbox = new Outbox((item) => view?.show(item));
const me = () => session()?.user.username;

const where = () => {
  const hash = new URLSearchParams(location.hash.slice(1));
  return { room: hash.get('room') ?? '', transport: hash.get('transport') === 'sse' ? 'sse' : 'ws' };
};
const link = (room, transport) => `#${new URLSearchParams({ ...(room && { room }), transport })}`;

// ---- who

$('auth').addEventListener('submit', async (e) => {
  e.preventDefault();
  const { username, password } = e.target.elements;
  const buttons = e.target.querySelectorAll('button');
  tellProblem('auth', null);
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await authenticate(e.submitter?.value ?? 'login', username.value, password.value);
    e.target.reset();
    route();
  } catch (err) {
    tellProblem('auth', err);
  }
  buttons.forEach((button) => { button.disabled = false; });
});

// Shows err next to the fields that it names, and the rest of it at the end of the form.
function tellProblem(form, err) {
  const fields = new Map(err?.fields?.map(({ field, detail }) => [field, detail]));
  for (const input of $(form).querySelectorAll('input')) {
    const place = $(`${input.id}-error`), detail = fields.get(input.name);
    input.ariaInvalid = String(!!detail);
    if (!input.name) continue;
    place.hidden = !detail;
    place.textContent = detail ?? '';
    fields.delete(input.name);
  }
  const rest = err && (err.fields?.length ? [...fields.values()].join(' ') : messageOf(err));
  $(`${form}-error`).hidden = !rest;
  $(`${form}-error`).textContent = rest ?? '';
  $(form).querySelector('[aria-invalid=true]')?.focus();
}

const messageOf = (err) => (err.status ? err.message : 'The server cannot be reached.');

$('logout').addEventListener('click', forget);
addEventListener('signed-out', () => {
  outbox.items = []; // whoever comes next is not to find them, nor to send them
  drafts.clear();
  route();
});
addEventListener('storage', () => { if ((me() ?? '') !== shown) location.reload(); }); // another tab logged in or out

// ---- where

function route() {
  const user = me();
  const { room, transport } = where();
  shown = user ?? '';
  $('door').hidden = !!user;
  $('house').hidden = !user;
  $('house').dataset.screen = room ? 'room' : 'rooms';
  $('me').textContent = user ?? '';
  $('back').href = link('', transport);
  $('transport').querySelector(`[value=${transport}]`).checked = true;
  document.title = user && room ? `${room} · tandem` : 'tandem';
  if (view && user === view.me && room === view.name) view.stream.use(transport);
  else open(user && room, transport);
  if (user) listRooms(); else $('username').focus();
}

async function open(name, transport) {
  if (view) drafts.set(view.name, $('text').value);
  view?.close();
  view = null;
  $('title').textContent = name ?? '';
  $('text').value = drafts.get(name) ?? '';
  $('text').placeholder = `Message ${name}`;
  tellLength();
  $('room').classList.add('closed');
  if (!name) return tellClosed('Pick a room, or enter one by its name.');
  const still = () => where().room === name && !view && me();
  try {
    const room = await call('GET', roomPath(name));
    if (!still()) return;
    if (room.name !== name) return location.replace(link(room.name, transport)); // Lobby is lobby
  } catch (err) {
    if (!still()) return;
    if (err.status < 500) return tellClosed(err.message, err.status === 404 && name);
    // Not reached, or not well: the stream will find out too, say that it retries, and come back.
  }
  $('room').classList.remove('closed');
  $('empty').hidden = true;
  view = new Room(name, where().transport, me(), outbox);
  if (matchMedia('(hover: hover)').matches) $('text').focus(); // a phone would open its keyboard
}

function tellClosed(text, makeable) {
  $('empty').replaceChildren(make('p', { textContent: text }));
  if (makeable) {
    const go = () => enter(makeable).catch((err) => tellClosed(messageOf(err)));
    $('empty').append(make('button', { textContent: `Make the room ${makeable}`, onclick: go }));
  }
  $('empty').hidden = false;
}

addEventListener('hashchange', route);
addEventListener('online', () => view?.stream.wake());
document.addEventListener('visibilitychange', () => { if (!document.hidden) { view?.stream.wake(); listRooms(); } });
$('transport').addEventListener('change', (e) => location.replace(link(where().room, e.target.value)));
$('here').addEventListener('click', () => {
  const open = $('house').classList.toggle('people');
  $('here').ariaExpanded = String(open);
});

// ---- rooms

async function listRooms() {
  if (!session() || document.hidden) return;
  const rooms = [];
  try {
    for (let after = ''; after !== null; ) {
      const page = await call('GET', `v1/rooms?limit=100${after && `&after=${encodeURIComponent(after)}`}`);
      rooms.push(...page.items);
      after = page.next;
    }
  } catch (err) {
    return console.warn('rooms:', err); // the list stays as it is until the next look
  }
  const { room: open, transport } = where();
  const focused = document.activeElement?.closest('#room-list a')?.hash;
  $('room-list').replaceChildren(...rooms.map((room) => make('li', {}, make('a',
    { href: link(room.name, transport), title: room.title, ariaCurrent: room.name === open ? 'page' : null },
    make('span', { dir: 'auto', textContent: room.name }),
    make('small', {}, ...(room.online ? [room.online, make('span', { className: 'unseen', textContent: ' here' })] : []))))));
  if (focused) [...$('room-list').querySelectorAll('a')].find((a) => a.hash === focused)?.focus();
  $('no-rooms').hidden = rooms.length > 0;
}
setInterval(listRooms, LOOK);

async function enter(name) {
  const room = await call('PUT', roomPath(name));
  location.hash = link(room.name, where().transport);
  if (where().room === room.name && !view) route(); // the hash was that already
}

$('enter').addEventListener('submit', async (e) => {
  e.preventDefault();
  const field = $('room-name');
  if (!field.value.trim()) return;
  tellProblem('enter', null);
  try {
    await enter(field.value.trim());
    field.value = '';
  } catch (err) {
    tellProblem('enter', err);
  }
});

// ---- composer

const length = (text) => [...text].length; // characters, as the server counts them; not UTF-16 units

function tellLength() {
  const over = length($('text').value) - LONGEST;
  $('text').ariaInvalid = String(over > 0);
  $('text-note').className = over > 0 ? 'error' : 'soft';
  $('text-note').textContent = over > 0
    ? `Too long by ${over.toLocaleString()}. A message has at most ${LONGEST.toLocaleString()} characters.`
    : over > -200 ? `${-over} left` : '';
}

function post() {
  const text = $('text').value;
  if (!view || !text.trim() || length(text) > LONGEST) return;
  $('text').value = '';
  tellLength();
  outbox.add(view.name, view.me, text);
}

$('text').addEventListener('input', tellLength);
$('text').addEventListener('keydown', (e) => {
  if (e.key !== 'Enter' || e.shiftKey || e.isComposing || e.keyCode === 229) return; // 229: Safari ends a composition so
  e.preventDefault();
  post();
});
$('composer').addEventListener('submit', (e) => { e.preventDefault(); post(); $('text').focus(); });
$('log').addEventListener('scroll', () => {
  if ($('log').scrollTop < 200) view?.earlier();
  view?.transcript.scrolled();
}, { passive: true });
$('earlier').addEventListener('click', () => view?.earlier());
$('newer').addEventListener('click', () => view?.transcript.toEnd());

route();
