// Command accounts is way 1: users have chat accounts. The page talks only to tandem; this backend posts what happens in
// the shop.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	embed "tandem/frontend/examples/embed"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var order struct {
			Number int
			Item   string
		}
		_ = json.NewDecoder(r.Body).Decode(&order)
		body, _ := json.Marshal(map[string]string{"message": fmt.Sprintf("Order %d: %s", order.Number, order.Item)})
		post, _ := http.NewRequestWithContext(r.Context(), "POST", embed.Tandem+"/v1/rooms/lobby/messages", bytes.NewReader(body))
		post.Header.Set("Authorization", "Bearer "+os.Getenv("TANDEM_TOKEN")) // tandem token create shop --name orders --room lobby
		post.Header.Set("Content-Type", "application/json")
		post.Header.Set("Idempotency-Key", fmt.Sprint("order ", order.Number)) // so that an order that is sent twice is posted once
		answer, err := http.DefaultClient.Do(post)
		if err != nil {
			embed.JSON(w, http.StatusBadGateway, err.Error())
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})
	embed.Serve(mux, "accounts")
}
