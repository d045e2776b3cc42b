// Package deploy tests the deployment files: Kubernetes, Compose, systemd and the image. It is a separate module, so that
// the product does not depend on the libraries that parse them.
package deploy
