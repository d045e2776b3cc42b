// Names and places in the log, as the server writes them.

/** Names are compared as the server does, near enough (RFC 8265). */
export const fold = (name: string) => name.normalize('NFC').toLowerCase();
export const same = (a: string) => (b: string) => fold(a) === fold(b);

/** The id and the log of a cursor. */
export function parse(cursor = ''): [id: number, log: string] {
  const [id, log] = cursor.split('.');
  return [parseInt(id!, 10) || 0, log ?? ''];
}
