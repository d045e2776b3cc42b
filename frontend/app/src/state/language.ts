// Where pages store the chosen language for the service worker, which has no localStorage.
export const KEPT = 'tandem';
export const LANGUAGE = 'language';
