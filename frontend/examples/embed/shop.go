// Package embed holds what the three backends in Go share: the page's files and a login. An app has all of this already.
package embed

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

// Tandem is the URL of the chat server.
var Tandem = cmp.Or(os.Getenv("TANDEM_URL"), "http://localhost:8080")

var logins sync.Map // names by cookie

// Login stands for your own: here anybody with the shop's one password can log in.
func Login(w http.ResponseWriter, r *http.Request) {
	var who struct{ Name, Password string }
	if json.NewDecoder(r.Body).Decode(&who) != nil || who.Password != "correct horse" {
		JSON(w, http.StatusUnauthorized, struct{}{})
		return
	}
	id := rand.Text()
	logins.Store(id, who.Name)
	http.SetCookie(w, &http.Cookie{Name: "shop", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	JSON(w, http.StatusOK, struct{}{})
}

// WhoIs returns who is logged in; empty for nobody.
func WhoIs(r *http.Request) string {
	cookie, err := r.Cookie("shop")
	if err != nil {
		return ""
	}
	name, _ := logins.Load(cookie.Value)
	s, _ := name.(string)
	return s
}

// JSON writes a response.
func JSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// Serve serves the page and the handlers in mux.
func Serve(mux *http.ServeMux, way string) {
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, r *http.Request) {
		JSON(w, http.StatusOK, map[string]string{"way": way, "tandem": Tandem})
	})
	mux.Handle("GET /", http.FileServer(http.Dir("dist")))
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}
