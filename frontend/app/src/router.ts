// What is open stands in the URL's hash, so that the server needs to know one page only and a reload stays where it was.
import { createRouter, createWebHashHistory, type RouteLocationRaw } from 'vue-router';

export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', name: 'home', component: () => import('./views/HomeView.vue') },
    { path: '/new', name: 'new', component: () => import('./views/NewRoomView.vue') },
    {
      path: '/rooms/:room/settings',
      name: 'settings',
      component: () => import('./views/RoomSettingsView.vue'),
      props: true,
    },
    {
      path: '/rooms/:room/:here(here)?',
      name: 'room',
      component: () => import('./views/RoomView.vue'),
      props: ({ params }) => ({ room: params.room, here: !!params.here }),
    },
    { path: '/private/:username', name: 'private', component: () => import('./views/PrivateView.vue'), props: true },
    { path: '/people', name: 'people', component: () => import('./views/PeopleView.vue') },
    { path: '/profile', name: 'profile', component: () => import('./views/ProfileView.vue') },
    {
      path: '/admin/:tab(people|rooms|figures)?',
      name: 'admin',
      component: () => import('./views/AdminView.vue'),
      props: ({ params }) => ({ tab: params.tab || 'figures' }),
    },
    { path: '/:rest(.*)', redirect: '/' },
  ],
});

export const toRoom = (room: string): RouteLocationRaw => ({ name: 'room', params: { room } });
export const toPerson = (username: string): RouteLocationRaw => ({ name: 'private', params: { username } });
