// One open room: its stream, its history, and who is here.
import { accessToken, call, roomPath } from './api.js';
import { $, make } from './dom.js';
import { Stream, backoff, sleep } from './stream.js';
import { Transcript } from './transcript.js';

const PAGE = 50; // messages per page of history

export class Room {
  #users = []; // names
  #count = 0; // may be larger: the server names the first 500 only
  #prev = null; // where earlier history begins; null where there is none
  #load = null; // AbortController of the history being loaded; null if none

  constructor(name, transport, me, outbox) {
    Object.assign(this, { name, me, outbox });
    this.transcript = new Transcript(me, {
      retry: outbox.retry,
      discard: (item) => { outbox.discard(item); this.transcript.remove(item); this.#tellEmpty(); },
    });
    this.stream = new Stream(name, transport, (event) => this.#hear(event), tellState);
  }

  close() {
    this.stream.close();
    this.#load?.abort();
    this.transcript.close();
    this.#tellUsers([], 0);
    $('earlier').hidden = $('empty').hidden = true;
    tellState('');
  }

  /** Shows an item of the outbox. */
  show(item) {
    if (item.room !== this.name) return;
    if (this.transcript.has(item.id)) this.transcript.remove(item);
    else this.transcript.put([item]);
    if (item.state === 'queued') this.transcript.toEnd();
    this.#tellEmpty();
  }

  #hear(event) {
    if (event.type === 'stream_reset' || (event.type === 'stream_open' && !event.resumed)) this.#reload();
    if (event.room !== this.name) return;
    if (event.type === 'chat_message') this.#put([event], true);
    if (event.type === 'user_list') this.#tellUsers(event.users, event.count);
    const there = this.#users.includes(event.user);
    if (event.type === 'user_join' && !there) this.#tellUsers([...this.#users, event.user], this.#count + 1);
    if (event.type === 'user_leave' && there) this.#tellUsers(this.#users.filter((u) => u !== event.user), this.#count - 1);
  }

  #put(messages, live) {
    let news = live; // to be announced; not what was written here
    for (const message of messages) {
      const item = this.outbox.heard(message);
      if (!item) continue;
      this.transcript.remove(item);
      news = false;
    }
    this.transcript.put(messages.filter((message) => !this.transcript.has(message.id)), news);
    this.#tellEmpty();
  }

  // The stream stands already: whatever is not in the page that is asked for now will come by the stream.
  async #reload() {
    this.#load?.abort();
    this.outbox.dropSent(this.name);
    this.transcript.clear();
    this.transcript.put(this.outbox.items.filter((item) => item.room === this.name));
    this.#prev = null;
    await this.#page('');
  }

  async earlier() {
    if (this.#load || !this.#prev) return;
    await this.#page(`&before=${this.#prev}`);
  }

  async #page(where) {
    const load = this.#load = new AbortController();
    const { signal } = load;
    for (let n = 0; !signal.aborted; n++) {
      try {
        const page = await call('GET', `${roomPath(this.name)}/messages?limit=${PAGE}${where}`, { signal });
        if (signal.aborted) return;
        this.#load = null;
        this.#prev = page.prev;
        $('earlier').hidden = !page.prev;
        this.#put(page.items, false);
        return;
      } catch (err) {
        if (!signal.aborted) console.warn('history:', err);
        await sleep(backoff(n), signal);
      }
    }
  }

  #tellUsers(users, count) {
    this.#count = count;
    this.#users = users.sort((a, b) => a.localeCompare(b));
    const row = (user) => make('li', { dir: 'auto', textContent: user, title: user, className: user === this.me ? 'me' : '' });
    $('users').replaceChildren(...users.map(row));
    if (count > users.length) $('users').append(make('li', { className: 'soft', textContent: `and ${count - users.length} more` }));
    $('here').textContent = count ? `${count} here` : '';
    $('people-title').textContent = count ? `Here now · ${count}` : 'Here now';
  }

  #tellEmpty() {
    const empty = !this.transcript.size && !this.#load;
    if (empty && $('empty').hidden) $('empty').replaceChildren(...howToBegin(this.name));
    $('empty').hidden = !empty;
  }
}

function tellState(state, ms) {
  $('room').dataset.state = state;
  $('state').textContent = state === 'retrying' ? `retrying in ${Math.ceil(ms / 1000)} s` : state;
}

// The token is cut off by the style sheet; whoever selects or copies the line gets all of it.
function howToBegin(room) {
  const token = make('span', { className: 'token' });
  const line = make('pre', { tabIndex: 0 }, "curl -d 'hello from a terminal' \\\n  -H 'Authorization: Bearer ", token, "' \\\n  ",
    new URL(`${roomPath(room)}/messages`, location.href).href);
  const copy = make('button', { className: 'plain', textContent: 'Copy' });
  const fill = () => accessToken().then((fresh) => { token.textContent = fresh; }, () => {}); // offline, it stays
  copy.onclick = async () => {
    await fill();
    getSelection().selectAllChildren(line);
    document.execCommand('copy'); // navigator.clipboard is missing over plain HTTP from another host
    copy.textContent = 'Copied';
  };
  fill();
  return [
    make('h2', { textContent: 'Nothing has been said here yet' }),
    make('p', { textContent: 'Write the first message below, or post it from a terminal. The token is yours and lasts for some minutes.' }),
    line, copy];
}
