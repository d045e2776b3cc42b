import { createClient } from '@tandem/client';
import { tandemPlugin } from '@tandem/client/vue';
import { createApp } from 'vue';
import App from './App.vue';
import { HERE } from './here';
import { startI18n } from './i18n';
import { router } from './router';
import './styles/tokens.css';
import './styles/base.css';

// One stream for everything: all of the user's rooms, their inbox, and who is online.
const tandem = createClient({ url: HERE, live: { rooms: '*', site: true } });

// After an update, parts that an old page would load lazily are gone, so reload it. A page that was just loaded is
// current: reloading that would loop.
addEventListener('vite:preloadError', () => performance.now() > 10_000 && setTimeout(() => location.reload()));
router.onError((_, to) => history.replaceState(history.state, '', router.resolve(to).href)); // the reload opens the target

const app = createApp(App).use(tandemPlugin(tandem)).use(router);
void startI18n(app).then(() => app.mount('#app'));
