// Drafts, which survive a reload. Each user has their own.
import { session } from './storage';

export function createDrafts(user: string) {
  const key = `tandem.drafts:${user}`;
  const all = new Map(JSON.parse(session.get(key) ?? '[]') as [string, string][]);
  let gone = false;

  function write(): void {
    session.set(key, all.size ? JSON.stringify([...all]) : null);
  }

  return {
    get: (to: string): string => all.get(to) ?? '',
    set(to: string, text: string): void {
      if (gone) return;
      if (text) all.set(to, text);
      else all.delete(to);
      write();
    },
    /** Deletes all drafts; open composers do not write again. */
    forget(): void {
      gone = true;
      all.clear();
      write();
    },
  };
}
