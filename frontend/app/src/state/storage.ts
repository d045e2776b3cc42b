// Storage in the browser. If its settings forbid storage, even accessing it throws; then nothing survives a reload.
import { HERE } from '../here';

/** Several servers may share an origin, and its storage, under different paths. */
const { pathname } = new URL(HERE);
const own = (key: string) => (pathname === '/' ? key : key + pathname);

const guarded = (open: () => Storage) => ({
  get(key: string): string | null {
    try {
      return open().getItem(own(key));
    } catch {
      return null;
    }
  },
  /** null removes the value. */
  set(key: string, value: string | null): void {
    try {
      if (value === null) open().removeItem(own(key));
      else open().setItem(own(key), value);
    } catch {
      // forbidden, or full
    }
  },
});

/** Shared by all tabs. */
export const local = guarded(() => localStorage);
/** For this tab. */
export const session = guarded(() => sessionStorage);
