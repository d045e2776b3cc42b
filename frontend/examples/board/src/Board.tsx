import type { Transport } from '@tandem/client';
import { useConnection, usePresence, useTandem } from '@tandem/client/react';
import { useState, type MouseEvent, type PointerEvent } from 'react';
import './board.css';
import { useCursors, type Place } from './useCursors';
import { useNotes, type Note } from './useNotes';

/** Where on the board a pointer is, in parts of its size: windows differ. */
function placeOf({ clientX, clientY, currentTarget }: MouseEvent<HTMLElement>): Place {
  const { left, top, width, height } = currentTarget.getBoundingClientRect();
  return { x: (clientX - left) / width, y: (clientY - top) / height };
}

const at = ({ x, y }: Place) => ({ left: `${x * 100}%`, top: `${y * 100}%` });

export function Board({ room: name }: { room: string }) {
  const { room, notes, error } = useNotes(name);
  const [cursors, sendPlace] = useCursors(room);
  const [dragged, setDragged] = useState<Note>();
  const [text, setText] = useState('A note');

  // Each note is sent until the server has it, and shown when its event arrives.
  const put = (note: string, { x, y }: Place, words: string) => void room.emit('note.put', { note, x, y, text: words });

  function move(event: PointerEvent<HTMLElement>) {
    const place = placeOf(event);
    sendPlace(place);
    if (dragged) setDragged({ ...dragged, ...place });
  }

  function drop() {
    if (dragged) put(dragged.id, dragged, dragged.text);
    setDragged(undefined);
  }

  return (
    <main>
      <Bar name={name} />
      <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
      <p>Double-click on the board to put the note there; drag it elsewhere.</p>
      {error && <p role="alert">{error.message}</p>}
      <div
        id="board"
        onPointerMove={move}
        onPointerUp={drop}
        onDoubleClick={(event) =>
          event.target === event.currentTarget && put(crypto.randomUUID(), placeOf(event), text)
        }
      >
        {notes.map((note) => (
          <div
            key={note.id}
            className="note"
            style={at(note.id === dragged?.id ? dragged : note)}
            onPointerDown={() => setDragged(note)}
          >
            <span>{note.text}</span> <small>{note.user}</small>
            <button aria-label="Remove" onClick={() => void room.emit('note.removed', { note: note.id })}>
              ×
            </button>
          </div>
        ))}
        {cursors.map(([user, place]) => (
          <div key={user} className="cursor" style={at(place)}>
            {user}
          </div>
        ))}
      </div>
    </main>
  );
}

function Bar({ name }: { name: string }) {
  const tandem = useTandem();
  const { users } = usePresence(name);
  const { state, transport, use } = useConnection();
  return (
    <header>
      <span id="state">
        {state} {transport}
      </span>
      <select id="transport" onChange={(event) => use(event.target.value as Transport | 'auto')}>
        {['auto', 'ws', 'sse', 'sse-post', 'poll'].map((way) => (
          <option key={way}>{way}</option>
        ))}
      </select>
      <span id="users">{users.join(', ')}</span>
      <button id="logout" onClick={() => void tandem.logout()}>
        Log out {tandem.user}
      </button>
    </header>
  );
}
