import { createClient } from '@tandem/client';
import { TandemProvider, useUser } from '@tandem/client/react';
import { createRoot } from 'react-dom/client';
import { Board } from './Board';
import { Login } from './Login';

// A stream begins with every event from the room's 100th last message on. This room has no messages, so with all of its
// events: the notes that are there come to whoever opens the board.
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
