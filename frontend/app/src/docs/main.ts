// The API reference: openapi.yaml shown by Scalar, which can call this server. It is a separate page, not part of the
// app.
import { createClient } from '@tandem/client';
import { createApiReference } from '@scalar/api-reference';
import '@scalar/api-reference/style.css';
import { HERE } from '../here';
import './docs.css';

// Calls are made as the logged-in user.
const token = await createClient({ url: HERE })
  .token()
  .catch(() => undefined);

createApiReference('#docs', {
  url: `${HERE}openapi.yaml`,
  theme: 'none',
  // Nothing is loaded from other hosts.
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  hideClientButton: true,
  documentDownloadType: 'yaml',
  persistAuth: false,
  authentication: { preferredSecurityScheme: 'bearer', securitySchemes: { bearer: { token: token ?? '' } } },
});
