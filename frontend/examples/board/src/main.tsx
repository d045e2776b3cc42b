import { createClient } from '@tandem/client';
import { TandemProvider, useUser } from '@tandem/client/react';
import { createRoot } from 'react-dom/client';
import { Board } from './Board';
import { Login } from './Login';

// A stream begins with every event from the room's 100th last message on. This room has no messages, so the stream begins
// with all of its events: everybody who opens the board gets the existing notes.
const client = createClient({ live: { rooms: ['board'], history: 100 } });

function App() {
  const user = useUser();
  return user ? <Board key={user} room="board" /> : <Login />;
}

createRoot(document.getElementById('root')!).render(
  <TandemProvider client={client}>
    <App />
  </TandemProvider>,
);
