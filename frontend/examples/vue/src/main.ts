import { createClient } from '@tandem/client';
import { tandemPlugin } from '@tandem/client/vue';
import { createApp } from 'vue';
import App from './App.vue';

createApp(App).use(tandemPlugin(createClient())).mount('#app');
