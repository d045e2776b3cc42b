// The API reference: the server's own description, shown by Scalar, with calls to this server to try. A page of its
// own, which the app does not load.
import { createClient } from '@tandem/client';
import { createApiReference } from '@scalar/api-reference';
import '@scalar/api-reference/style.css';
import './docs.css';

// Who is logged in tries calls in their own name.
const token = await createClient()
  .token()
  .catch(() => undefined);

createApiReference('#docs', {
  url: '/openapi.yaml',
  theme: 'none',
  // Nothing from any other host.
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  hideClientButton: true,
  documentDownloadType: 'yaml',
  persistAuth: false,
  authentication: { preferredSecurityScheme: 'bearer', securitySchemes: { bearer: { token: token ?? '' } } },
});
