// Catching up: a stream's position in the log, so that each event is passed on once, and the rooms of its connection.
import { fold, parse, same } from './cursor.js';
import type { EventType, TandemEvent } from './events.js';
import type { Query } from './transports.js';

/** A connection's rooms. */
interface Brings {
  query: Query;
}

export class Position {
  #last: number; // id of the latest event passed on
  #log: string; // the log that the id belongs to; empty before the first stream_open
  #members = new Set<string>(); // followed as a member, through '*', not by name
  #greeted?: Brings;
  /** Whose stream it is; unknown before the first stream_open. */
  user?: string;

  /**
   * @param rooms requested; lost ones are removed
   * @param lost called with each of these
   */
  constructor(
    since: string | undefined,
    private rooms: Set<string>,
    private lost: (room: string) => void,
  ) {
    [this.#last, this.#log] = parse(since);
  }

  /** The stream resumes after it. Undefined before the first event. */
  get cursor(): string | undefined {
    return this.#log ? `${this.#last}.${this.#log}` : undefined;
  }

  /** Which of these rooms to name in the request. */
  unnamed(rooms: Iterable<string>): string[] {
    return [...new Set(rooms)].filter((room) => !this.#members.has(fold(room)));
  }

  /** Whether a room is followed, by name or as one of the user's. */
  follows(room: string, link?: Brings): boolean {
    return this.#members.has(fold(room)) || !!link?.query.room.some(same(room));
  }

  /** Records an event of link. Returns whether to pass it on. */
  receive(event: TandemEvent, link: Brings | undefined): boolean {
    if (event.type === 'stream_open') {
      const first = this.#greeted !== link;
      this.#greeted = link;
      this.#log = event.log;
      this.user = event.user;
      const named = link?.query.room.map(fold) ?? [];
      if (first) this.#members = new Set(event.rooms.map(fold).filter((r) => !named.includes(r)));
      if (!event.resumed) [this.#last] = parse(event.since); // if resumed, it is the known cursor
      for (const room of event.lost) {
        this.#unfollow(room, link);
        const own = [...this.rooms].find(same(room));
        if (own !== undefined) {
          this.rooms.delete(own);
          this.lost(room);
        }
      }
      return first || !event.resumed; // each answer of a long poll has one
    }
    if (event.type === 'stream_reset') {
      this.#last = event.head;
    } else if (event.type === 'ping') {
      this.#last = Math.max(this.#last, parse(event.since)[0]);
    } else if ('id' in event && event.id) {
      if (event.id <= this.#last) return false;
      this.#last = event.id;
      const { room, target, type } = event as { room?: string; target?: string; type: EventType };
      if (room && (type === 'room_deleted' || target === this.user)) {
        if (type !== 'member_added') this.#unfollow(room, link);
        else if (this.rooms.has('*')) this.#members.add(fold(room));
      }
    }
    return true;
  }

  /** The connection no longer delivers a room. If requested again, it starts over. */
  #unfollow(room: string, link?: Brings): void {
    this.#members.delete(fold(room));
    if (link) link.query.room = link.query.room.filter((r) => !same(room)(r));
  }
}
