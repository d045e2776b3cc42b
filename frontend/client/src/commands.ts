// Commands over a WebSocket, and their replies.
import { noAnswer, problem } from './problem.js';

export interface Reply {
  type: 'reply';
  ref?: string;
  status: number;
  body?: unknown;
}

export class Commands {
  #waiting = new Map<string, (reply?: Reply) => void>();
  #count = 0;

  constructor(private send: (text: string) => void) {}

  /** Resolves with the body of the reply; throws TandemError if it is a problem, or there is no reply. */
  say(frame: object): Promise<unknown> {
    const ref = String(++this.#count);
    return new Promise((resolve, reject) => {
      this.#waiting.set(ref, (reply) => {
        this.#waiting.delete(ref);
        if (!reply) reject(noAnswer('unreachable', 'No answer.'));
        else if (reply.status >= 400) reject(problem(reply.status, reply.body ?? {}));
        else resolve(reply.body);
      });
      this.send(JSON.stringify({ ...frame, ref }));
    });
  }

  receive(reply: Reply): void {
    this.#waiting.get(reply.ref ?? '')?.(reply);
  }

  /** The connection has ended. */
  end(): void {
    this.#waiting.forEach((done) => done());
  }
}
