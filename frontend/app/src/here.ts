/**
 * The base URL of the app and the API, with a trailing slash: `https://example.com/`, or below a path,
 * `https://example.com/chat/`.
 */
export const HERE = new URL('.', location.href).href;
