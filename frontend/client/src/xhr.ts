/** fetch for a body with progress, which fetch itself cannot report. */
export function xhr(url: string, init: RequestInit, progress: (bytes: number) => void): Promise<Response> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open(init.method!, url);
    for (const [name, value] of Object.entries(init.headers as Record<string, string>)) {
      request.setRequestHeader(name, value);
    }
    const abort = () => request.abort();
    init.signal?.addEventListener('abort', abort);
    request.upload.onprogress = ({ loaded }) => progress(loaded);
    request.onload = () => {
      const wait = request.getResponseHeader('Retry-After');
      done(
        new Response(request.responseText, { status: request.status, headers: wait ? { 'Retry-After': wait } : {} }),
      );
    };
    request.onerror = request.onabort = () => fail(new TypeError('The network failed.'));
    request.onloadend = () => init.signal?.removeEventListener('abort', abort);
    request.send(init.body as Blob);
    if (init.signal?.aborted) abort();
  });
}
