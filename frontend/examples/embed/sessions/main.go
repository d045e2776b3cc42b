// Command sessions is way 2: users log in to the shop. The backend gets a session for them from tandem and passes it to
// the page.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"

	embed "tandem/frontend/examples/embed"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", embed.Login)
	mux.HandleFunc("POST /chat-session", func(w http.ResponseWriter, r *http.Request) {
		name := embed.WhoIs(r)
		if name == "" {
			embed.JSON(w, http.StatusUnauthorized, struct{}{})
			return
		}
		body, _ := json.Marshal(map[string]any{"username": name, "display_name": name + " of the shop", "create": true})
		ask, _ := http.NewRequestWithContext(r.Context(), "POST", embed.Tandem+"/v1/admin/sessions", bytes.NewReader(body))
		ask.Header.Set("Authorization", "Bearer "+os.Getenv("TANDEM_TOKEN")) // tandem token create admin --name shop --scope sessions
		ask.Header.Set("Content-Type", "application/json")
		session, err := http.DefaultClient.Do(ask)
		if err != nil {
			embed.JSON(w, http.StatusBadGateway, err.Error())
			return
		}
		defer session.Body.Close()
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(session.StatusCode)
		_, _ = io.Copy(w, session.Body)
	})
	embed.Serve(mux, "sessions")
}
