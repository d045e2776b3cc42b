import { TandemError } from '@tandem/client';
import { useConnection, usePresence, useRoom, useTandem, useTyping, useUser } from '@tandem/client/react';
import { useState, type FormEvent } from 'react';

export function App() {
  return useUser() ? <Room name="lobby" /> : <Login />;
}

function Room({ name }: { name: string }) {
  const { messages, send, typing, hasEarlier, loadEarlier, error } = useRoom(name, { enter: true });
  const { users } = usePresence(name);
  const writing = useTyping(name);
  const { state, transport } = useConnection();
  const tandem = useTandem();
  const [text, setText] = useState('');

  function submit(event: FormEvent) {
    event.preventDefault();
    if (text) send(text);
    setText('');
  }

  return (
    <main>
      <h1>{name}</h1>
      <p id="state">
        {state} {transport}
      </p>
      <p id="users">{users.join(', ')}</p>
      {error && <p role="alert">{error.message}</p>}
      {hasEarlier && <button onClick={() => void loadEarlier()}>Earlier</button>}
      <ol id="messages">
        {messages.map((m) => (
          <li key={m.key} className={m.state}>
            <b>{m.user}</b> <span>{m.deleted ? '(deleted)' : m.message}</span>
            {m.state === 'failed' && <button onClick={m.outgoing?.retry}>Try again</button>}
          </li>
        ))}
      </ol>
      <p id="writing">{writing.length > 0 && `${writing.join(', ')} …`}</p>
      <form onSubmit={submit}>
        <input
          id="text"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            typing();
          }}
        />
        <button>Send</button>
      </form>
      <button id="logout" onClick={() => void tandem.logout()}>
        Log out {tandem.user}
      </button>
    </main>
  );
}

function Login() {
  const tandem = useTandem();
  const [error, setError] = useState('');

  async function enter(form: FormData) {
    const [name, password, how] = ['name', 'password', 'how'].map((field) => form.get(field) as string);
    try {
      await (how === 'signup' ? tandem.signup(name!, password!) : tandem.login(name!, password!));
    } catch (err) {
      setError(err instanceof TandemError ? err.message : String(err));
    }
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const { submitter } = event.nativeEvent;
        void enter(new FormData(event.currentTarget, submitter));
      }}
    >
      <input name="name" placeholder="Name" required />
      <input name="password" type="password" placeholder="Password" required />
      <button name="how" value="login">
        Log in
      </button>
      <button name="how" value="signup">
        Sign up
      </button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
