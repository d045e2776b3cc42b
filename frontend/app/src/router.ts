// The URL's hash says what is open, so that the server only serves one page and a reload stays in place.
import { createRouter, createWebHashHistory, type RouteLocationRaw } from 'vue-router';
import { withMessages } from './i18n';

export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', name: 'home', component: () => import('./views/HomeView.vue') },
    { path: '/new', name: 'new', component: () => withMessages(() => import('./views/NewRoomView.vue')) },
    {
      path: '/rooms/:room/settings',
      name: 'settings',
      component: () => withMessages(() => import('./views/RoomSettingsView.vue')),
      props: true,
    },
    {
      path: '/rooms/:room/:here(here)?',
      name: 'room',
      component: () => import('./views/RoomView.vue'),
      props: ({ params, query }) => ({ room: params.room, here: !!params.here, at: Number(query.at) || undefined }),
    },
    {
      path: '/rooms/:room/thread/:thread(\\d+)',
      name: 'thread',
      component: () => import('./views/RoomView.vue'),
      props: ({ params }) => ({ room: params.room, here: false, thread: Number(params.thread) }),
    },
    {
      path: '/private/:username/thread/:thread(\\d+)',
      name: 'private-thread',
      component: () => import('./views/PrivateView.vue'),
      props: ({ params }) => ({ username: params.username, thread: Number(params.thread) }),
    },
    { path: '/mentions', name: 'mentions', component: () => import('./views/MentionsView.vue') },
    { path: '/private/:username', name: 'private', component: () => import('./views/PrivateView.vue'), props: true },
    { path: '/people', name: 'people', component: () => import('./views/PeopleView.vue') },
    { path: '/profile', name: 'profile', component: () => withMessages(() => import('./views/ProfileView.vue')) },
    {
      path: '/admin/:tab(people|rooms|figures|reports|hooks|audit)?',
      name: 'admin',
      component: () => withMessages(() => import('./views/AdminView.vue')),
      props: ({ params }) => ({ tab: params.tab || 'figures' }),
    },
    { path: '/:rest(.*)', redirect: '/' },
  ],
});

export const toRoom = (room: string): RouteLocationRaw => ({ name: 'room', params: { room } });
export const toPerson = (username: string): RouteLocationRaw => ({ name: 'private', params: { username } });

/** The route of a message in a room. */
export const toMessage = ({ room, id, thread }: { room: string; id: number; thread?: unknown }): RouteLocationRaw =>
  typeof thread === 'number'
    ? { name: 'thread', params: { room, thread: String(thread) } }
    : { name: 'room', params: { room }, query: { at: String(id) } };
