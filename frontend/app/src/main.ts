import { createClient } from '@tandem/client';
import { tandemPlugin } from '@tandem/client/vue';
import { createApp } from 'vue';
import App from './App.vue';
import { startI18n } from './i18n';
import { router } from './router';
import './styles/tokens.css';
import './styles/base.css';

// One stream for everything: all rooms of the user, the private inbox, and who is online on the site.
const tandem = createClient({ live: { rooms: '*', site: true } });

// What a page of the version before would load lazily is not there any more. A page that has just been loaded is not of
// the version before; reloaded, it would go round in a circle.
addEventListener('vite:preloadError', () => performance.now() > 10_000 && setTimeout(() => location.reload()));
router.onError((_, to) => history.replaceState(history.state, '', router.resolve(to).href)); // there

const app = createApp(App).use(tandemPlugin(tandem)).use(router);
void startI18n(app).then(() => app.mount('#app'));
