// What the browser keeps for us. Where its settings forbid that, merely to look throws; then nothing outlives the page.

const guarded = (open: () => Storage) => ({
  get(key: string): string | null {
    try {
      return open().getItem(key);
    } catch {
      return null;
    }
  },
  /** null: nothing any more. */
  set(key: string, value: string | null): void {
    try {
      if (value === null) open().removeItem(key);
      else open().setItem(key, value);
    } catch {
      // forbidden, or full
    }
  },
});

/** Of all tabs. */
export const local = guarded(() => localStorage);
/** Of this tab. */
export const session = guarded(() => sessionStorage);
