import { TandemError } from '@tandem/client';
import { useTandem } from '@tandem/client/react';
import { useState } from 'react';

export function Login() {
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
        void enter(new FormData(event.currentTarget, event.nativeEvent.submitter));
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
