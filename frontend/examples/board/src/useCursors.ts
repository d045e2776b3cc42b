import type { RoomHandle } from '@tandem/client';
import { useCustomEvent, usePresence, useUser } from '@tandem/client/react';
import { useCallback, useRef, useState } from 'react';

export interface Place {
  x: number;
  y: number;
}

const PACE = 50; // ms; the server passes on 30 ephemeral events a second of one user

/** The others' pointers, and a function that sends them this one's position. */
export function useCursors(room: RoomHandle): [cursors: [string, Place][], sendPlace: (place: Place) => void] {
  const me = useUser();
  const { users } = usePresence(room.name);
  const [all, setAll] = useState<Record<string, Place>>({});
  useCustomEvent(room, 'cursor.moved', ({ user, data }) => setAll((old) => ({ ...old, [user]: data })));

  const latest = useRef<Place>(undefined);
  const sending = useRef(false);
  const send = useCallback(
    async (place: Place) => {
      latest.current = place;
      if (sending.current) return;
      sending.current = true;
      try {
        while (latest.current) {
          await new Promise((resolve) => setTimeout(resolve, PACE));
          const place = latest.current;
          latest.current = undefined;
          // One at a time: of two requests at once, the later may arrive first.
          await room.emit('cursor.moved', place, { ephemeral: true });
        }
      } finally {
        sending.current = false;
      }
    },
    [room],
  );

  const cursors = Object.entries(all).filter(([user]) => user !== me && users.includes(user));
  return [cursors, send];
}
