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

const app = createApp(App).use(tandemPlugin(tandem)).use(router);
void startI18n(app).then(() => app.mount('#app'));
