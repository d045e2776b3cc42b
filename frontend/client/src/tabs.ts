// One connection for all tabs: a browser opens six to a host over HTTP/1.1, and further tabs would wait forever. The
// tab with the lock leads: it follows what all of them want and broadcasts what it receives. Another tab asks it to
// follow its rooms, fetches earlier events with one poll of its own, and continues with the broadcasts; the two
// overlap, and its stream drops known ids. When the leader is gone, the next tab gets the lock, and each tab continues
// from its own cursor.
import type { TandemEvent } from './events.js';
import type { Status } from './status.js';
import type { Stream, Tabs } from './stream.js';
import type { Connection, Transport } from './transports.js';
// Types only: this is a separate chunk, which only browsers load.

const fold = (name: string) => name.normalize('NFC').toLowerCase(); // as stream.ts has it

type Message =
  | { kind: 'want'; from: string; rooms: string[] } // a tab asks to be served
  | { kind: 'ready'; to: string; since: string } // it is; what follows `since` is broadcast
  | { kind: 'event'; event: TandemEvent }
  | { kind: 'status'; status: Status } // the leader's
  | { kind: 'lead' }; // there is another leader

export class TabGroup implements Tabs {
  rooms: ReadonlySet<string> = new Set();
  transport: Transport | null = null;
  open?: (c: Connection) => Promise<void> = (c) => this.#follow(c);
  #id = crypto.randomUUID();
  #channel: BroadcastChannel;
  #locks = navigator.locks;
  #end = new AbortController();
  #present: Promise<void>;
  #wants = new Map<string, string[]>(); // of other tabs; the leader's
  #waiting = new Set<string>(); // who is not served yet
  #told?: (m: Message) => void; // while this tab is served
  #leads = false;

  /** @param key names the group: its members must be the same user at the same server */
  constructor(
    private key: string,
    private stream: Stream,
  ) {
    this.#channel = new BroadcastChannel(key);
    this.#channel.onmessage = (e: MessageEvent<Message>) => this.#receive(e.data);
    // Held until this tab is gone, for whatever reason.
    this.#present = new Promise((resolve) => {
      this.#hold(`${key}:${this.#id}`, resolve);
      this.#end.signal.addEventListener('abort', () => resolve()); // nobody shall wait for it any more
    });
    this.#hold(key, () => this.#lead());
  }

  #hold(name: string, granted: () => void): void {
    const { signal } = this.#end;
    const held = () => {
      granted();
      return new Promise<void>((release) => signal.addEventListener('abort', () => release()));
    };
    this.#locks.request(name, { signal }, held).catch(() => {}); // aborted while it waited
  }

  close(): void {
    this.#end.abort();
    this.#channel.close();
    this.#told = undefined;
    this.open = undefined;
  }

  wanted(event: TandemEvent, rooms: ReadonlySet<string>, user?: string): boolean {
    if (!('room' in event) || event.room === undefined || rooms.has('*')) return true;
    // Membership events also reach the affected user's inbox.
    if ('target' in event && event.target === user) return true;
    const name = fold(event.room);
    return [...rooms].some((room) => fold(room) === name);
  }

  heard(event: TandemEvent): void {
    if (!this.#leads) return;
    this.#say({ kind: 'event', event });
    if (event.type !== 'stream_open') return;
    // A tab that wants a missing room is served all the same; its own poll reports it.
    const lost = event.lost.map(fold);
    this.#wants.forEach((rooms, tab) => {
      this.#wants.set(
        tab,
        rooms.filter((room) => !lost.includes(fold(room))),
      );
    });
    this.#gather();
    this.#serve(); // not before: the cursor is known since now
  }

  told(status: Status): void {
    if (this.#leads) this.#say({ kind: 'status', status });
  }

  #say(message: Message): void {
    if (!this.#end.signal.aborted) this.#channel.postMessage(message);
  }

  #lead(): void {
    if (this.#end.signal.aborted) return;
    this.#leads = true;
    this.open = undefined;
    this.#say({ kind: 'lead' });
    this.stream.reopen();
  }

  #receive(m: Message): void {
    if (!this.#leads) return this.#told?.(m);
    if (m.kind !== 'want') return;
    if (!this.#wants.has(m.from)) {
      // Granted when that tab is gone.
      this.#locks
        .request(`${this.key}:${m.from}`, { signal: this.#end.signal }, () => {
          this.#wants.delete(m.from);
          this.#waiting.delete(m.from);
          this.#gather();
        })
        .catch(() => {});
    }
    this.#wants.set(m.from, m.rooms);
    this.#waiting.add(m.from);
    this.#gather();
    this.#say({ kind: 'status', status: this.stream.status });
    this.#serve();
  }

  #gather(): void {
    this.rooms = new Set([...this.#wants.values()].flat());
    this.stream.refresh();
  }

  #serve(): void {
    for (const tab of this.#waiting) {
      // Whether events of its rooms are delivered from now on.
      const all = this.#wants.get(tab)!.every((room) => this.stream.follows(room));
      if (this.stream.status.state !== 'live' || !all) continue;
      this.#waiting.delete(tab);
      this.#say({ kind: 'ready', to: tab, since: this.stream.cursor! });
    }
  }

  /** Served by the leader: a transport like the others. */
  async #follow({ rest, tokens, query, signal, receive, alive }: Connection): Promise<void> {
    await this.#present;
    let early: TandemEvent[] | null = [];
    await new Promise<void>((_, fail) => {
      const over = () => fail(new Error('The tab that had the connection has gone.'));
      if (signal.aborted) return over(); // while it waited: this tab leads now
      signal.addEventListener('abort', over);
      this.#told = (m) => {
        if (m.kind === 'lead') return this.stream.reopen(); // asks it, and takes no connection of its own
        if (m.kind === 'ready' && m.to === this.#id) {
          early = [];
          catchUp(m.since).catch(fail);
        } else if (m.kind === 'event') {
          if (early) early.push(m.event);
          else receive(m.event);
        } else if (m.kind === 'status') {
          alive?.();
          this.transport = m.status.transport;
          if (!early) this.stream.mirror(m.status);
        }
      };
      const catchUp = async (since: string) => {
        const [goal, log] = since.split('.');
        for (let at = query.since; ;) {
          const q = { ...query, since: at, wait: 0, history: at ? undefined : query.history };
          const call = { query: q, accept: 'application/json', signal };
          const answer = (await rest.json('GET', '/v1/events', call, tokens)) as {
            events: TandemEvent[];
            since: string;
          };
          answer.events.forEach(receive);
          at = answer.since;
          const [id, now] = at.split('.');
          if (Number(id) >= Number(goal) || now !== log) break;
        }
        early!.forEach(receive);
        early = null;
      };
      this.#say({ kind: 'want', from: this.#id, rooms: query.room });
    }).finally(() => (this.#told = undefined));
  }
}
