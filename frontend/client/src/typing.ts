// Who is typing. Nobody announces that they have stopped: a sign of typing is valid for a while.
const TYPING = 5000; // ms that a sign of typing is valid; it comes every 3 s

export class Typing {
  #timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** @param tell is called with who is typing, when that has changed */
  constructor(private tell: (users: string[]) => void) {}

  writes(user: string): void {
    clearTimeout(this.#timers.get(user));
    this.#timers.set(
      user,
      setTimeout(() => this.quiet(user), TYPING),
    );
    this.tell([...this.#timers.keys()]);
  }

  quiet(user: string): void {
    clearTimeout(this.#timers.get(user));
    if (this.#timers.delete(user)) this.tell([...this.#timers.keys()]);
  }
}
