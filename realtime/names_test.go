package realtime

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/chat"
)

// Names stay sorted and complete through random changes, growing to many chunks and shrinking to none.
func TestNamesAreSorted(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var l names
	var want []string
	check := func() {
		t.Helper()
		n := random.IntN(len(want) + 2)
		if got := l.first(n); l.count != len(want) || !slices.Equal(got, want[:min(n, len(want))]) {
			t.Fatalf("listed %d names, want the first %d of %d", l.count, n, len(want))
		}
	}
	for _, growing := range []bool{true, false, true, false} {
		for round := 0; round < 20*chunkSize && (growing || len(want) > 0); round++ {
			if add := random.IntN(4) > 0; add == growing || len(want) == 0 {
				name := fmt.Sprint(random.IntN(1_000_000)) // a few are equal
				l.insert(name)
				i, _ := slices.BinarySearch(want, name)
				want = slices.Insert(want, i, name)
			} else {
				i := random.IntN(len(want))
				l.remove(want[i])
				want = slices.Delete(want, i, i+1)
			}
			if round%100 == 0 {
				check()
			}
			if len(l.chunks) > 0 && slices.ContainsFunc(l.chunks, func(c []string) bool { return len(c) == 0 || len(c) > chunkSize }) {
				t.Fatal("empty or oversized chunk")
			}
		}
		check()
	}
}

// An invisible user sees themselves in a full list if their name belongs there, and is counted either way.
func TestFullListsOfInvisibleUsers(t *testing.T) {
	t.Parallel()
	room := &topic{presence: presence{people: map[int64]*person{1: {name: "aaa"}, 2: {name: "zzz"}}}}
	for i := range chat.MaxListed {
		room.names.insert(fmt.Sprintf("user%03d", i))
	}
	for user, first := range map[int64]string{1: "aaa", 2: "user000"} {
		if users, count := room.seenBy(user); len(users) != chat.MaxListed || count != chat.MaxListed+1 || users[0] != first {
			t.Errorf("%s got %d of %d users, starting with %s", room.people[user].name, len(users), count, users[0])
		}
	}
}
