package program

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
)

// certificate returns the certificate in tls-cert and tls-key; nil without them.
func (s Settings) certificate() (*tls.Certificate, error) {
	switch {
	case s.TLSCert == "" && s.TLSKey == "":
		return nil, nil
	case s.TLSCert == "":
		return nil, errors.New("tls-key is set without tls-cert")
	case s.TLSKey == "":
		return nil, errors.New("tls-cert is set without tls-key")
	}
	cert, certErr := os.ReadFile(s.TLSCert)
	if certErr != nil {
		certErr = fmt.Errorf("tls-cert: %w", certErr)
	}
	key, keyErr := os.ReadFile(s.TLSKey)
	if keyErr != nil {
		keyErr = fmt.Errorf("tls-key: %w", keyErr)
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls-cert and tls-key: %w", err)
	}
	return &pair, nil
}
