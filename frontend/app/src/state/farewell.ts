// Why the user is no longer logged in.
import { shallowRef } from 'vue';

/** `left`: the user logged out, so there is nothing to explain. The others are error codes. */
export const farewell = shallowRef<'left' | 'signed_out' | 'disabled'>();
