package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tandem/outbound"
	"tandem/push"
)

// newPush returns the service that sends notifications.
func (p *Program) newPush(ctx context.Context) (*push.Service, error) {
	cfg := p.settings
	own, err := cfg.pushServices()
	if err != nil {
		return nil, err
	}
	key, err := p.store.Setting(ctx, "vapid_key", push.NewKey())
	if err != nil {
		return nil, err
	}
	return push.New(p.store, push.Config{
		Key: key, Contact: cfg.PushContact, NoText: cfg.PushContent == "off", Client: p.outbound, CheckEndpoint: checkEndpoint(p.outbound), Own: own,
		Gate: p.gate, Now: time.Now, Logger: p.logger, Grace: cfg.PushGrace,
	})
}

// checkEndpoint checks an endpoint that an app sent. Push services use https; without TLS, only those in the operator's
// own network are allowed.
func checkEndpoint(client *outbound.Client) func(context.Context, string) error {
	public := outbound.New(nil)
	return func(ctx context.Context, endpoint string) error {
		if err := client.CheckURL(ctx, endpoint); err != nil {
			return fmt.Errorf("the endpoint cannot be used: %w", err)
		}
		if !strings.HasPrefix(strings.ToLower(endpoint), "https://") && public.CheckURL(ctx, endpoint) == nil {
			return errors.New("the endpoint is not an https:// URL")
		}
		return nil
	}
}

// pushServices returns those that the operator has configured. They are called directly, or through the environment's
// proxy: no user sets their addresses.
func (s Settings) pushServices() (own map[push.Kind]push.Sender, err error) {
	if s.PushContact != "" {
		if u, err := url.Parse(s.PushContact); err != nil || u.Scheme != "mailto" && u.Scheme != "https" {
			return nil, errors.New("push-contact must be a mailto: or an https: address")
		}
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second,
			TLSClientConfig: &tls.Config{RootCAs: s.PushRoots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 10 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	own = make(map[push.Kind]push.Sender)
	if s.PushURL != "" {
		gateway, err := push.NewGateway(s.PushURL, s.PushSecret, client, time.Now)
		if err != nil {
			return nil, err
		}
		own[push.FCM], own[push.APNs] = gateway, gateway
	}
	if s.FCMCredentials != "" {
		if own[push.FCM], err = push.NewFCM(s.FCMCredentials, s.FCMURL, client, time.Now); err != nil {
			return nil, fmt.Errorf("fcm-credentials-file: %w", err)
		}
	}
	if s.APNsKeyFile != "" {
		if own[push.APNs], err = push.NewAPNs(push.APNsConfig{
			KeyFile: s.APNsKeyFile, KeyID: s.APNsKeyID, TeamID: s.APNsTeamID, Topic: s.APNsTopic, Sandbox: s.APNsSandbox, URL: s.APNsURL,
		}, client, time.Now); err != nil {
			return nil, fmt.Errorf("apns-key-file: %w", err)
		}
	}
	return own, nil
}
