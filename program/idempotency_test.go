package program

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRetryWithTheSameKeyPostsOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	ada.enter("dev")
	const path, key = "/v1/rooms/lobby/messages", "Idempotency-Key: k 1!"
	first := ada.do("POST", path, newMessage{"hi", "n"}, key).want(201)
	if again := ada.do("POST", path, newMessage{"hi", "n"}, key).want(200); !bytes.Equal(again.body, first.body) {
		t.Errorf("the retry got\n%s\nnot\n%s", again.body, first.body)
	}
	ada.do("POST", path, newMessage{"ho", "n"}, key).wantProblem(422, "idempotency_mismatch", "")
	ada.do("POST", path, newMessage{"hi", "m"}, key).wantProblem(422, "idempotency_mismatch", "")
	ada.do("POST", path, newMessage{"hi", "n"}, key).want(200) // a mismatch changes nothing

	// The same key is another one for another user, and on another path.
	bob.do("POST", path, newMessage{"hi", "n"}, key).want(201)
	ada.do("POST", "/v1/rooms/dev/messages", newMessage{"hi", "n"}, key).want(201)
	if got := ada.history("lobby", ""); len(got.items) != 2 {
		t.Errorf("the room has %s", show(got.items))
	}
}

func TestRefusedPostDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	const key = "Idempotency-Key: precious"
	ada.do("POST", "/v1/rooms/later/messages", raw("hi"), key).want(404)
	ada.enter("later")
	ada.do("POST", "/v1/rooms/later/messages", raw(""), key).want(400)
	ada.do("POST", "/v1/rooms/later/messages", raw(strings.Repeat("a", 4001)), key).want(400)
	ada.do("POST", "/v1/rooms/later/messages", raw("hi"), key).want(201)
}

func TestKeysOutlastARestart(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	first := ada.post("lobby", "hi", "Idempotency-Key: k")
	p.stop(t)
	again := ada.on(p.again(t).testServer).do("POST", "/v1/rooms/lobby/messages", raw("hi"), "Idempotency-Key: k").want(200).event()
	if !bytes.Equal(again.raw, first.raw) {
		t.Errorf("after the restart the retry got %s, not %s", again.raw, first.raw)
	}
}

// Ids are dense: a retry may not burn one, or every follower would look for a hole.
func TestConcurrentRetriesMakeOneEventAndBurnNoID(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	before := ada.post("lobby", "before")
	const retries = 50
	bodies, statuses := make([]string, retries), map[int]int{}
	results := make(chan answer, retries)
	inParallel(retries, func(int) {
		a, err := ada.try("POST", "/v1/rooms/lobby/messages", newMessage{"hi", "n"}, "Idempotency-Key: once")
		if err != nil {
			t.Error(err)
		}
		results <- a
	})
	for i := range retries {
		a := <-results
		statuses[a.status]++
		bodies[i] = string(bytes.TrimSpace(a.body))
	}
	if statuses[201] != 1 || statuses[200] != retries-1 {
		t.Errorf("the answers were %v, not one 201 and %d times 200", statuses, retries-1)
	}
	slices.Sort(bodies)
	if distinct := slices.Compact(bodies); len(distinct) != 1 {
		t.Errorf("the retries got different events: %s", distinct)
	}
	if after := ada.post("lobby", "after"); after.ID != before.ID+2 {
		t.Errorf("between the ids %d and %d lies one event: ids are not dense", before.ID, after.ID)
	}
}

// Of two texts that race for one key, one is posted; whoever sent the other learns that the key is taken.
func TestConcurrentTextsUnderOneKey(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for round := range 10 {
		answers := make([]answer, 10)
		inParallel(len(answers), func(i int) {
			a, err := ada.try("POST", posting, raw([]string{"this", "that"}[i%2]), fmt.Sprint("Idempotency-Key: round ", round))
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
		posted := ada.history("lobby", "limit=1").items[0]
		created := 0
		for i, a := range answers {
			mine := []string{"this", "that"}[i%2] == posted.Message
			switch {
			case a.status == 201 && mine:
				created++
			case a.status == 200 && mine:
			case a.status == 422 && !mine:
				a.wantProblem(422, "idempotency_mismatch", "")
			default:
				t.Errorf("posted is %q; the other of the two was answered %d: %s", posted.Message, a.status, a.body)
			}
		}
		if created != 1 {
			t.Errorf("the text was posted %d times", created)
		}
	}
	if got := ada.wholeHistory("lobby"); len(got) != 10 {
		t.Errorf("ten keys made %s", show(got))
	}
}
