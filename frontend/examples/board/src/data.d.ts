import '@tandem/client';

// The board's own events. The SDK knows their names and data from here.
declare module '@tandem/client' {
  interface TandemData {
    events: {
      /** Ephemeral: where it was a moment ago is of no use to anybody. Positions are parts of the board's size. */
      'cursor.moved': { x: number; y: number };
      /** Durable: a note was put somewhere, or put somewhere else. */
      'note.put': { note: string; x: number; y: number; text: string };
      'note.removed': { note: string };
    };
  }
}
