package program

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (c *client) search(path, q, more string) (texts []string) {
	c.t.Helper()
	for _, e := range c.page(path, "q="+url.QueryEscape(q)+more).items {
		texts = append(texts, e.Message)
	}
	return texts
}

func TestSearchFindsAllWordsOfAnyScript(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.enter("dev")
	ada.post("dev", "deploy elsewhere, ёлка 小明")
	posts := []string{
		"Deploy to Zürich is DONE", "deploy failed", "Ёлка и ПРИВЕТ, мир", "小明去了北京大学", "東京タワーへ行く", "서울에서 만나요",
		`"quoted" AND NOT (near) OR*`, "naïve Straße", "don't-split e-mail foo_bar", "नमस्ते दुनिया", "สวัสดีครับ", "x y z", "a" + strings.Repeat("b", 3000),
	}
	for _, text := range posts {
		ada.post("lobby", text)
	}
	for q, want := range map[string][]int{
		"deploy": {0, 1}, "DEPLOY done": {0}, "done deploy": {0}, "deploy dOnE failed": nil, "zurich": {0}, "Zürich": {0}, "zür": {0},
		"елка": {2}, "ЁЛКА привет": {2}, "мир": {2}, "小明": {3}, "北京": {3}, "京大": {3}, "学": {3}, "大学北京": nil, "小 北京": {3}, "京": {3, 4},
		"東京": {4}, "タワー": {4}, "서울": {5}, "만나": {5}, "quoted": {6}, "AND": {6}, "NOT near": {6}, `"quoted" OR`: {6}, "near*": {6}, "nea*": {6}, "ear": nil,
		"quoted NEAR/2 near": nil, "text:quoted": nil, "rowid": nil, "naive": {7}, "NAÏVE strasse": {7}, "don't": {8}, "foo bar": {8}, "mail": {8}, "नमस्ते": {9}, "दुनिया": {9},
		"สวัส": {10}, "x": {11}, "z x": {11}, "-x": {11}, "'; DROP TABLE words; --": nil, "a" + strings.Repeat("b", 100): {12}, "\ue000": nil,
	} {
		if q == "\ue000" {
			ada.do("GET", posting+"?q="+url.QueryEscape(q), nil).wantProblem(400, "", "q")
			continue
		}
		var texts []string
		for _, i := range want {
			texts = append(texts, posts[i])
		}
		if got := ada.search(posting, q, ""); !slices.Equal(got, texts) {
			t.Errorf("%q finds %q, not %q", q, got, texts)
		}
	}
	for _, q := range []string{"!!!", "\"", "😀", strings.Repeat("a", 201)} {
		ada.do("GET", posting+"?q="+url.QueryEscape(q), nil).wantProblem(400, "", "q")
	}
}

// The last word is a beginning, with or without a space behind it; tokens are as people type them.
func TestSearchFindsWhatIsBeingTyped(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	posts := []string{"hello world", "привет, мир", "released v4.2", "released 4.2.1", "4 of 2", "write to ada@example.org", "on 2026-11-28", "help"}
	for _, text := range posts {
		ada.post("lobby", text)
	}
	for q, want := range map[string][]int{
		"hel": {0, 7}, "hel ": {0, 7}, "hello": {0}, "hello wor": {0}, "wor hello": nil, "world hel": {0}, "HEL": {0, 7}, "ello": nil, "h": {0, 7}, "при": {1}, "мир прив": {1}, "ривет": nil,
		"4.2": {2, 3}, "v4.2": {2}, "v4": {2}, "4.2.1": {3}, "4.2 rel": {2, 3}, "4.": {2, 3, 4}, "2.4": nil, "4": {2, 3, 4},
		"ada@example.org": {5}, "ada@ex": {5}, "@example.org": {5}, "example.org": {5}, "bob@example.org": nil, "2026-11": {6}, "11-28": {6}, "28-11": nil,
	} {
		var texts []string
		for _, i := range want {
			texts = append(texts, posts[i])
		}
		if got := ada.search(posting, q, ""); !slices.Equal(got, texts) {
			t.Errorf("%q finds %q, not %q", q, got, texts)
		}
	}
	// What a beginning finds comes in pages as everything does, and goes with its message.
	var want []int64
	for i := range 12 {
		want = append(want, ada.post("lobby", fmt.Sprint("needle", i)).ID)
		ada.post("lobby", "hay")
	}
	ada.do("DELETE", messagePath("lobby", want[7]), nil).want(204)
	ada.edit("lobby", want[3], "pin")
	want = slices.Delete(slices.Delete(want, 7, 8), 3, 4)
	ada.wantPages("lobby", "need", want)
	if got := ada.search(posting, "pi", ""); !slices.Equal(got, []string{"pin"}) {
		t.Errorf("the new text is found as %q", got)
	}
}

// What was posted, edited or deleted before a search is as the search finds it; its pages go both ways.
func TestSearchIsAsFreshAsHistory(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, eve := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "eve")
	ada.enter("lobby")
	for i := range 10 {
		m := ada.post("lobby", fmt.Sprint("needle ", i))
		if got := bob.search(posting, "needle", "&limit=1"); !slices.Equal(got, []string{m.Message}) {
			t.Fatalf("at once is found %q", got)
		}
		ada.post("lobby", "hay")
	}
	last := ada.history("lobby", "q=needle").items
	ada.edit("lobby", last[3].ID, "pin 3")
	ada.do("DELETE", messagePath("lobby", last[5].ID), nil).want(204)
	if got := bob.search(posting, "needle", ""); len(got) != 8 || slices.Contains(got, "needle 3") || slices.Contains(got, "needle 5") {
		t.Errorf("after an edit and a deletion is found %q", got)
	}
	if got := bob.search(posting, "pin", ""); !slices.Equal(got, []string{"pin 3"}) {
		t.Errorf("the new text finds %q", got)
	}
	want := []int64{last[0].ID, last[1].ID, last[2].ID, last[4].ID, last[6].ID, last[7].ID, last[8].ID, last[9].ID}
	ada.wantPages("lobby", "needle", want)

	ada.send("bob", "secret needle")
	for _, c := range []*client{ada, bob} {
		other := map[string]string{"ada": "bob", "bob": "ada"}[c.User.Username]
		if got := c.search(privatePath(other)+"/messages", "needle", ""); !slices.Equal(got, []string{"secret needle"}) {
			t.Errorf("%s finds %q", c.User.Username, got)
		}
	}
	for _, path := range []string{posting, privatePath("ada") + "/messages", privatePath("bob") + "/messages"} {
		if got := eve.search(path, "secret", ""); got != nil {
			t.Errorf("eve finds %q in %s", got, path)
		}
	}

	// The index goes on from its cursor, and is made anew where it is missing or no index.
	for _, spoil := range []func(file string) error{
		func(string) error { return nil },
		os.Remove,
		func(file string) error {
			return os.WriteFile(file, []byte(strings.Repeat("no database ", 1000)), 0o600)
		},
	} {
		p.stop(t)
		if err := spoil(filepath.Join(p.settings.DataDir, "search.db")); err != nil {
			t.Fatal(err)
		}
		p = p.again(t)
		bob := bob.on(p.testServer)
		bob.post("lobby", "thread")
		if got := bob.search(posting, "needle", ""); len(got) != 8 {
			t.Errorf("after a restart is found %q", got)
		}
		if got := bob.search(posting, "thread", ""); len(got) == 0 {
			t.Error("what was posted after a restart is not found")
		}
	}
}

// wantPages has a search find these messages, page by page and both ways.
func (c *client) wantPages(room, q string, want []int64) {
	c.t.Helper()
	var backward, forward []int64
	for query := ""; ; {
		page := c.history(room, "limit=3&q="+q+query)
		backward = append(ids(page.items), backward...)
		if page.prev == nil {
			break
		}
		query = fmt.Sprint("&before=", *page.prev)
	}
	for after := int64(0); ; {
		page := c.history(room, fmt.Sprint("limit=3&q=", q, "&after=", after))
		forward = append(forward, ids(page.items)...)
		if page.next == nil {
			break
		}
		after = *page.next
	}
	if !slices.Equal(backward, want) || !slices.Equal(forward, want) {
		c.t.Errorf("backward %v\nforward %v\nnot %v", backward, forward, want)
	}
}
