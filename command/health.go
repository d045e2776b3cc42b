package command

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"tandem/program"
)

type healthCommand struct {
	Addr string `env:"TANDEM_ADDR" help:"The address that the server listens on; by default :8080, or the port in PORT."`
	URL  string `env:"TANDEM_HEALTH_URL" placeholder:"URL" help:"The URL of the server to check; by default, the one on this machine at --addr."`
	// The serve command's own setting determines the protocol.
	TLSCert string `env:"TANDEM_TLS_CERT" type:"path" placeholder:"FILE" help:"Set if the server has a certificate: it is then checked over HTTPS, without checking the name."`
}

// Run calls /healthz.
func (c *healthCommand) Run() error {
	client := http.Client{Timeout: 5 * time.Second}
	if c.URL == "" {
		host, port, err := net.SplitHostPort(program.ListenAddr(c.Addr))
		if err != nil {
			return fmt.Errorf("addr: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		scheme := "http://"
		if c.TLSCert != "" {
			scheme = "https://"
			// Certificates are not issued for the loopback address, and nothing secret is sent.
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		}
		c.URL = scheme + net.JoinHostPort(host, port)
	}
	answer, err := client.Get(c.URL + "/healthz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/healthz answered %s", c.URL, answer.Status)
	}
	return nil
}
