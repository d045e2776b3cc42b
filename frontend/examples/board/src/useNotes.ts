import type { RoomHandle } from '@tandem/client';
import { useCustomEvent, useTandem } from '@tandem/client/react';
import { useEffect, useState } from 'react';

export interface Note {
  id: string;
  x: number;
  y: number;
  text: string;
  user: string;
}

/** The notes on the board: what its durable events, replayed and new, have made of it. */
export function useNotes(name: string): { room: RoomHandle; notes: Note[]; error?: Error } {
  const tandem = useTandem();
  const room = tandem.room(name);
  const [notes, setNotes] = useState<Note[]>([]);
  const [error, setError] = useState<Error>();

  useCustomEvent(room, 'note.put', ({ user, data: { note, ...place } }) =>
    setNotes((all) => [...all.filter(({ id }) => id !== note), { id: note, user, ...place }]),
  );
  useCustomEvent(room, 'note.removed', ({ data: { note } }) => setNotes((all) => all.filter(({ id }) => id !== note)));

  // The server's data has been replaced: what is here may be wrong.
  useEffect(() => tandem.onEvent((event) => event.type === 'stream_reset' && location.reload()), [tandem]);
  useEffect(() => {
    room.enter().catch(setError); // makes the room where there is none
  }, [room]);

  return { room, notes, error };
}
