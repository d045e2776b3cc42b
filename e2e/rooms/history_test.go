package rooms

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
)

func TestHistoryPagesBothWays(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("dev")
	if got := ada.History("lobby", ""); len(got.Items) != 0 || got.Prev != nil || got.Next != nil {
		t.Errorf("empty room's history = %+v", got)
	}
	var want []int64
	for i := range 10 {
		want = append(want, ada.Post("lobby", fmt.Sprint(i)).ID)
		ada.Post("dev", "elsewhere")
	}
	for limit := 1; limit <= 11; limit++ {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			ada := ada.In(t)
			var backward, forward []int64
			query := ""
			for n := 0; ; n++ {
				got := ada.History("lobby", fmt.Sprintf("limit=%d%s", limit, query))
				if len(got.Items) == 0 || len(got.Items) > limit || n > 10 {
					t.Fatalf("page %d has %d items", n, len(got.Items))
				}
				if n == 0 && got.Next != nil {
					t.Errorf("latest page has next = %d, want none", *got.Next)
				}
				backward = append(harness.IDs(got.Items), backward...)
				if n > 0 { // one page forward leads back to the same place
					if got.Next == nil {
						t.Fatalf("page %d from the end has no next", n)
					}
					back := ada.History("lobby", fmt.Sprintf("limit=%d&after=%d", limit, *got.Next))
					at := slices.Index(want, harness.IDs(got.Items)[len(got.Items)-1]) + 1
					if !slices.Equal(harness.IDs(back.Items), want[at:min(at+limit, len(want))]) {
						t.Errorf("page after=%d = %v", *got.Next, harness.IDs(back.Items))
					}
				}
				if got.Prev == nil {
					break
				}
				query = fmt.Sprintf("&before=%d", *got.Prev)
			}
			after := int64(0)
			for n := 0; ; n++ {
				got := ada.History("lobby", fmt.Sprintf("limit=%d&after=%d", limit, after))
				forward = append(forward, harness.IDs(got.Items)...)
				if got.Next == nil || n > 10 {
					break
				}
				after = *got.Next
			}
			if !slices.Equal(backward, want) || !slices.Equal(forward, want) {
				t.Errorf("backward %v\nforward  %v\nwant     %v", backward, forward, want)
			}
		})
	}
	last := want[len(want)-1]
	if got := ada.History("lobby", fmt.Sprintf("after=%d", last)); len(got.Items) != 0 || got.Next != nil {
		t.Errorf("page after the last message = %v", harness.IDs(got.Items))
	}
	if got := ada.History("lobby", fmt.Sprintf("before=%d", want[0])); len(got.Items) != 0 || got.Prev != nil {
		t.Errorf("page before the first message = %v", harness.IDs(got.Items))
	}
	if got := ada.History("lobby", "limit=3&before=9007199254740991"); !slices.Equal(harness.IDs(got.Items), want[7:]) {
		t.Errorf("page before an id beyond the head = %v", harness.IDs(got.Items))
	}
	if got := ada.History("lobby", "after=9007199254740991"); len(got.Items) != 0 {
		t.Errorf("page after an id beyond the head = %v, want none", harness.IDs(got.Items))
	}
}

func TestHistoryHasFiftyMessagesByDefault(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.InParallel(4, func(int) {
		for range 15 {
			if _, err := ada.TryPost("lobby", "x"); err != nil {
				t.Error(err)
			}
		}
	})
	if got := ada.History("lobby", ""); len(got.Items) != 50 || got.Prev == nil {
		t.Errorf("default page has %d items, want 50", len(got.Items))
	}
	if got := ada.History("lobby", "limit=100"); len(got.Items) != 60 || got.Prev != nil {
		t.Errorf("page of 100 has %d items, want 60", len(got.Items))
	}
}
