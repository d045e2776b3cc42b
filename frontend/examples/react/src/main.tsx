import { createClient } from '@tandem/client';
import { TandemProvider } from '@tandem/client/react';
import { createRoot } from 'react-dom/client';
import { App } from './App';

const client = createClient();

createRoot(document.getElementById('root')!).render(
  <TandemProvider client={client}>
    <App />
  </TandemProvider>,
);
