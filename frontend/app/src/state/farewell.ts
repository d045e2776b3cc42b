// Why nobody is logged in any more.
import { shallowRef } from 'vue';

/** `left`: as the user wished, so that there is nothing to say. The others are codes of errors. */
export const farewell = shallowRef<'left' | 'signed_out' | 'disabled'>();
