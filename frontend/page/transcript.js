// The list of messages on the screen: kept in the order of ids, grouped by person and by day, and still
// under the reader's eyes when something is put in above.
import { $, make } from './dom.js';

const GROUP = 5 * 60_000; // ms of silence after which the name and the time are shown again
const NEAR = 48; // px from the end that still count as being at the end

const clock = new Intl.DateTimeFormat([], { hour: 'numeric', minute: '2-digit' });
const date = new Intl.DateTimeFormat([], { weekday: 'long', day: 'numeric', month: 'long' });
const full = new Intl.DateTimeFormat([], { dateStyle: 'full', timeStyle: 'medium' });

// Messages that the server has not numbered yet stand at the end, in the order they were written.
const order = (entry) => (entry.state ? Infinity : entry.id);
const key = (entry) => (entry.state ? entry.key : entry.id);

export class Transcript {
  #log = $('log');
  #list = $('messages');
  #items = new Map(); // key → li; li.entry is the message
  #unread = 0; // came while the reader was not at the end
  #follow = true; // the reader is at the end, and stays there
  #resized = new ResizeObserver(() => { if (this.#follow) this.toEnd(); }); // the composer grew, the phone was turned

  /** actions are {retry(entry), discard(entry)}, offered for a message that could not be sent. */
  constructor(me, actions) {
    Object.assign(this, { me, actions });
    this.clear();
    this.#resized.observe(this.#log);
  }

  close() {
    this.#resized.disconnect();
    this.clear();
  }

  get size() { return this.#items.size; }
  get first() { return this.#list.firstElementChild?.entry; }

  has(id) { return this.#items.has(id); }

  clear() {
    this.#items.clear();
    this.#list.replaceChildren();
    this.toEnd();
  }

  /** Puts entries where they belong. announce: they are news, not history. */
  put(entries, announce = false) {
    const { scrollHeight, scrollTop } = this.#log;
    const top = this.first;
    this.#log.ariaLive = announce ? 'polite' : 'off'; // a page of history is not to be read aloud
    for (const entry of entries) this.#place(entry);
    if (this.#follow) {
      this.toEnd();
    } else if (top !== this.first) {
      this.#log.scrollTop = scrollTop + this.#log.scrollHeight - scrollHeight;
    } else if (announce) {
      this.#unread += entries.length;
      this.#tellUnread();
    }
  }

  remove(entry) {
    const li = this.#items.get(key(entry));
    if (!li) return;
    const next = li.nextElementSibling;
    this.#items.delete(key(entry));
    li.remove();
    this.#dress(next);
  }

  toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.scrolled();
  }

  scrolled() {
    this.#follow = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR;
    if (this.#follow) this.#unread = 0;
    this.#tellUnread();
  }

  #tellUnread() {
    $('newer').hidden = !this.#unread;
    $('newer').textContent = `${this.#unread} new ↓`;
  }

  #place(entry) {
    const li = this.#draw(entry);
    const old = this.#items.get(key(entry));
    this.#items.set(key(entry), li);
    if (old) {
      old.replaceWith(li);
    } else {
      let next = null;
      for (let el = this.#list.lastElementChild; el && order(el.entry) > order(entry); el = el.previousElementSibling) next = el;
      this.#list.insertBefore(li, next);
    }
    this.#dress(li);
    this.#dress(li.nextElementSibling);
  }

  #draw(entry) {
    const at = new Date(entry.sent_at);
    const li = make('li', { entry, className: entry.state ?? '' },
      make('h2', { className: 'day', textContent: date.format(at) }),
      make('b', { className: entry.user === this.me ? 'name me' : 'name', dir: 'auto', title: entry.user, textContent: entry.user }),
      make('time', { dateTime: entry.sent_at, title: full.format(at), textContent: clock.format(at) }),
      make('p', { className: 'text', dir: 'auto', textContent: entry.message }));
    if (entry.state === 'failed') {
      li.append(make('p', { className: 'error' }, `Not sent: ${entry.error} `,
        make('button', { className: 'plain', textContent: 'Try again', onclick: () => this.actions.retry(entry) }), ' ',
        make('button', { className: 'plain', textContent: 'Discard', onclick: () => this.actions.discard(entry) })));
    }
    return li;
  }

  // What a message shows besides its text depends on the one before it.
  #dress(li) {
    if (!li) return;
    const before = li.previousElementSibling?.entry;
    const [a, b] = [before, li.entry].map((entry) => entry && new Date(entry.sent_at));
    const newDay = !before || a.toDateString() !== b.toDateString();
    li.firstElementChild.hidden = !newDay;
    li.classList.toggle('first', newDay || before.user !== li.entry.user || b - a > GROUP);
  }
}
