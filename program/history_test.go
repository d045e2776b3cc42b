package program

import (
	"fmt"
	"slices"
	"testing"
)

func TestHistoryPagesBothWays(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.enter("dev")
	if got := ada.history("lobby", ""); len(got.items) != 0 || got.prev != nil || got.next != nil {
		t.Errorf("an empty room's history is %+v", got)
	}
	var want []int64
	for i := range 10 {
		want = append(want, ada.post("lobby", fmt.Sprint(i)).ID)
		ada.post("dev", "elsewhere")
	}
	for limit := 1; limit <= 11; limit++ {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			ada := ada.in(t)
			var backward, forward []int64
			query := ""
			for n := 0; ; n++ {
				got := ada.history("lobby", fmt.Sprintf("limit=%d%s", limit, query))
				if len(got.items) == 0 || len(got.items) > limit || n > 10 {
					t.Fatalf("page %d has %d items", n, len(got.items))
				}
				if n == 0 && got.next != nil {
					t.Errorf("the latest page has next %d", *got.next)
				}
				backward = append(ids(got.items), backward...)
				if n > 0 { // and one step forward is where we were
					if got.next == nil {
						t.Fatalf("page %d from the end has no next", n)
					}
					back := ada.history("lobby", fmt.Sprintf("limit=%d&after=%d", limit, *got.next))
					at := slices.Index(want, ids(got.items)[len(got.items)-1]) + 1
					if !slices.Equal(ids(back.items), want[at:min(at+limit, len(want))]) {
						t.Errorf("after=%d is %v", *got.next, ids(back.items))
					}
				}
				if got.prev == nil {
					break
				}
				query = fmt.Sprintf("&before=%d", *got.prev)
			}
			after := int64(0)
			for n := 0; ; n++ {
				got := ada.history("lobby", fmt.Sprintf("limit=%d&after=%d", limit, after))
				forward = append(forward, ids(got.items)...)
				if got.next == nil || n > 10 {
					break
				}
				after = *got.next
			}
			if !slices.Equal(backward, want) || !slices.Equal(forward, want) {
				t.Errorf("backward %v\nforward %v\nnot %v", backward, forward, want)
			}
		})
	}
	last := want[len(want)-1]
	if got := ada.history("lobby", fmt.Sprintf("after=%d", last)); len(got.items) != 0 || got.next != nil {
		t.Errorf("after the last come %v", ids(got.items))
	}
	if got := ada.history("lobby", fmt.Sprintf("before=%d", want[0])); len(got.items) != 0 || got.prev != nil {
		t.Errorf("before the first come %v", ids(got.items))
	}
	if got := ada.history("lobby", "limit=3&before=9007199254740991"); !slices.Equal(ids(got.items), want[7:]) {
		t.Errorf("before an id beyond the head come %v", ids(got.items))
	}
	if got := ada.history("lobby", "after=9007199254740991"); len(got.items) != 0 {
		t.Errorf("after an id beyond the head come %v", ids(got.items))
	}
}

func TestHistoryIsFiftyUnlessAsked(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	inParallel(4, func(int) {
		for range 15 {
			if _, err := ada.tryPost("lobby", "x"); err != nil {
				t.Error(err)
			}
		}
	})
	if got := ada.history("lobby", ""); len(got.items) != 50 || got.prev == nil {
		t.Errorf("a page has %d items", len(got.items))
	}
	if got := ada.history("lobby", "limit=100"); len(got.items) != 60 || got.prev != nil {
		t.Errorf("a page of 100 has %d items", len(got.items))
	}
}
