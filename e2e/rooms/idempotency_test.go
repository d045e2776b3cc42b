package rooms

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestRetryWithTheSameKeyPostsOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Enter("dev")
	const path, key = "/v1/rooms/lobby/messages", "Idempotency-Key: k 1!"
	first := ada.Do("POST", path, harness.NewMessage{Message: "hi", Nonce: "n"}, key).Want(201)
	if again := ada.Do("POST", path, harness.NewMessage{Message: "hi", Nonce: "n"}, key).Want(200); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("retry returned\n%s\nwant\n%s", again.Body, first.Body)
	}
	ada.Do("POST", path, harness.NewMessage{Message: "ho", Nonce: "n"}, key).WantProblem(422, "idempotency_mismatch", "")
	ada.Do("POST", path, harness.NewMessage{Message: "hi", Nonce: "m"}, key).WantProblem(422, "idempotency_mismatch", "")
	ada.Do("POST", path, harness.NewMessage{Message: "hi", Nonce: "n"}, key).Want(200) // a mismatch changes nothing

	// The same key is independent for another user and for another path.
	bob.Do("POST", path, harness.NewMessage{Message: "hi", Nonce: "n"}, key).Want(201)
	ada.Do("POST", "/v1/rooms/dev/messages", harness.NewMessage{Message: "hi", Nonce: "n"}, key).Want(201)
	if got := ada.History("lobby", ""); len(got.Items) != 2 {
		t.Errorf("messages in the room = %s", harness.Show(got.Items))
	}
}

func TestRefusedPostDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	const key = "Idempotency-Key: precious"
	ada.Do("POST", "/v1/rooms/later/messages", harness.Raw("hi"), key).Want(404)
	ada.Enter("later")
	ada.Do("POST", "/v1/rooms/later/messages", harness.Raw(""), key).Want(400)
	ada.Do("POST", "/v1/rooms/later/messages", harness.Raw(strings.Repeat("a", 4001)), key).Want(400)
	ada.Do("POST", "/v1/rooms/later/messages", harness.Raw("hi"), key).Want(201)
}

func TestKeysOutlastARestart(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	first := ada.Post("lobby", "hi", "Idempotency-Key: k")
	p.Stop(t)
	again := ada.On(p.Again(t).Server).Do("POST", "/v1/rooms/lobby/messages", harness.Raw("hi"), "Idempotency-Key: k").Want(200).Event()
	if !bytes.Equal(again.Raw, first.Raw) {
		t.Errorf("after the restart retry returned %s, want %s", again.Raw, first.Raw)
	}
}

// Ids are dense: a retry must not use one up, or every follower would look for the missing event.
func TestConcurrentRetriesMakeOneEventAndBurnNoID(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	before := ada.Post("lobby", "before")
	const retries = 50
	bodies, statuses := make([]string, retries), map[int]int{}
	results := make(chan harness.Answer, retries)
	harness.InParallel(retries, func(int) {
		a, err := ada.Try("POST", "/v1/rooms/lobby/messages", harness.NewMessage{Message: "hi", Nonce: "n"}, "Idempotency-Key: once")
		if err != nil {
			t.Error(err)
		}
		results <- a
	})
	for i := range retries {
		a := <-results
		statuses[a.Status]++
		bodies[i] = string(bytes.TrimSpace(a.Body))
	}
	if statuses[201] != 1 || statuses[200] != retries-1 {
		t.Errorf("answers = %v, not one 201 and %d times 200", statuses, retries-1)
	}
	slices.Sort(bodies)
	if distinct := slices.Compact(bodies); len(distinct) != 1 {
		t.Errorf("retries returned different events: %s", distinct)
	}
	if after := ada.Post("lobby", "after"); after.ID != before.ID+2 {
		t.Errorf("one event between the ids %d and %d: ids are not dense", before.ID, after.ID)
	}
}

// If two texts race for one key, one is posted, and the sender of the other learns that the key is taken.
func TestConcurrentTextsUnderOneKey(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for round := range 10 {
		answers := make([]harness.Answer, 10)
		harness.InParallel(len(answers), func(i int) {
			a, err := ada.Try("POST", harness.Posting, harness.Raw([]string{"this", "that"}[i%2]), fmt.Sprint("Idempotency-Key: round ", round))
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
		posted := ada.History("lobby", "limit=1").Items[0]
		created := 0
		for i, a := range answers {
			mine := []string{"this", "that"}[i%2] == posted.Message
			switch {
			case a.Status == 201 && mine:
				created++
			case a.Status == 200 && mine:
			case a.Status == 422 && !mine:
				a.WantProblem(422, "idempotency_mismatch", "")
			default:
				t.Errorf("posted %q; the other of the two got status %d: %s", posted.Message, a.Status, a.Body)
			}
		}
		if created != 1 {
			t.Errorf("text posted %d times, want once", created)
		}
	}
	if got := ada.WholeHistory("lobby"); len(got) != 10 {
		t.Errorf("history after ten keys = %s", harness.Show(got))
	}
}
