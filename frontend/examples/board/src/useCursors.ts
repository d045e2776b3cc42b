import type { RoomHandle } from '@tandem/client';
import { useCustomEvent, usePresence, useUser } from '@tandem/client/react';
import { useCallback, useRef, useState } from 'react';

export interface Place {
  x: number;
  y: number;
}

const PACE = 50; // ms; the server passes on 30 ephemeral events a second of one user

/** The others' pointers, and a function that sends them this one's position. */
export function useCursors(room: RoomHandle): [cursors: [string, Place][], tell: (place: Place) => void] {
  const me = useUser();
  const { users } = usePresence(room.name);
  const [all, setAll] = useState<Record<string, Place>>({});
  useCustomEvent(room, 'cursor.moved', ({ user, data }) => setAll((old) => ({ ...old, [user]: data })));

  const latest = useRef<Place>(undefined);
  const tell = useCallback(
    (place: Place) => {
      const waits = latest.current !== undefined;
      latest.current = place;
      if (waits) return;
      setTimeout(() => {
        void room.emit('cursor.moved', latest.current!, { ephemeral: true });
        latest.current = undefined;
      }, PACE);
    },
    [room],
  );

  const cursors = Object.entries(all).filter(([user]) => user !== me && users.includes(user));
  return [cursors, tell];
}
