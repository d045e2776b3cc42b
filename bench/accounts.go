//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// users is the number of accounts in a run. Signing up is slow by design (argon2id), and a user may have many streams,
// so readers share them.
const users = 64

// signUp creates the accounts and returns their access tokens.
func signUp(ctx context.Context, s *server) ([]string, error) {
	tokens := make([]string, users)
	err := parallel(users, 4, func(i int) error {
		var session struct {
			AccessToken string `json:"access_token"`
		}
		body := map[string]string{"username": fmt.Sprintf("bench%02d", i), "password": "correct horse"}
		err := call(ctx, s, "POST", "/v1/auth/signup", "", body, &session)
		tokens[i] = session.AccessToken
		return err
	})
	return tokens, err
}

// enter makes every user a member of the rooms, so that posts and streams are checked against real memberships.
func enter(ctx context.Context, s *server, tokens []string, rooms ...string) error {
	for _, room := range rooms {
		// The first one creates the room.
		if err := call(ctx, s, "PUT", "/v1/rooms/"+room, tokens[0], nil, nil); err != nil {
			return err
		}
		err := parallel(len(tokens), 16, func(i int) error {
			return call(ctx, s, "PUT", "/v1/rooms/"+room, tokens[i], nil, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// history returns the ids of all messages in room after an id, as the API returns them.
func history(ctx context.Context, s *server, token, room string, after int64) ([]int64, error) {
	var ids []int64
	for {
		var page struct {
			Items []struct {
				ID int64 `json:"id"`
			} `json:"items"`
			Next *int64 `json:"next"`
		}
		path := fmt.Sprintf("/v1/rooms/%s/messages?after=%d&limit=100", room, after)
		if err := call(ctx, s, "GET", path, token, nil, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Items {
			ids = append(ids, m.ID)
		}
		if page.Next == nil || len(page.Items) == 0 {
			return ids, nil
		}
		after = *page.Next
	}
}

// client makes the calls that are not measured.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func call(ctx context.Context, s *server, method, path, token string, body, answer any) error {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr()+path, send)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(b, answer)
}

// parallel calls f for 0 … n-1, width at a time, until one fails, and returns its error.
func parallel(n, width int, f func(int) error) error {
	var (
		wg     sync.WaitGroup
		next   atomic.Int64
		failed = make(chan error, width)
	)
	for range width {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := f(int(i)); err != nil {
					next.Store(int64(n))
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// startLobby starts a new server whose users are in the lobby, and returns their tokens.
func startLobby(ctx context.Context, o *options) (*server, []string, error) {
	s, err := startServer(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	tokens, err := signUp(ctx, s)
	if err == nil {
		err = enter(ctx, s, tokens, lobby...)
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, tokens, nil
}
