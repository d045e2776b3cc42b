package rooms

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestSearchFindsAllWordsOfAnyScript(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("dev")
	ada.Post("dev", "deploy elsewhere, ёлка 小明")
	posts := []string{
		"Deploy to Zürich is DONE", "deploy failed", "Ёлка и ПРИВЕТ, мир", "小明去了北京大学", "東京タワーへ行く", "서울에서 만나요",
		`"quoted" AND NOT (near) OR*`, "naïve Straße", "don't-split e-mail foo_bar", "नमस्ते दुनिया", "สวัสดีครับ", "x y z", "a" + strings.Repeat("b", 3000),
	}
	for _, text := range posts {
		ada.Post("lobby", text)
	}
	for q, want := range map[string][]int{
		"deploy": {0, 1}, "DEPLOY done": {0}, "done deploy": {0}, "deploy dOnE failed": nil, "zurich": {0}, "Zürich": {0}, "zür": {0},
		"елка": {2}, "ЁЛКА привет": {2}, "мир": {2}, "小明": {3}, "北京": {3}, "京大": {3}, "学": {3}, "大学北京": nil, "小 北京": {3}, "京": {3, 4},
		"東京": {4}, "タワー": {4}, "서울": {5}, "만나": {5}, "quoted": {6}, "AND": {6}, "NOT near": {6}, `"quoted" OR`: {6}, "near*": {6}, "nea*": {6}, "ear": nil,
		"quoted NEAR/2 near": nil, "text:quoted": nil, "rowid": nil, "naive": {7}, "NAÏVE strasse": {7}, "don't": {8}, "foo bar": {8}, "mail": {8}, "नमस्ते": {9}, "दुनिया": {9},
		"สวัส": {10}, "x": {11}, "z x": {11}, "-x": {11}, "'; DROP TABLE words; --": nil, "a" + strings.Repeat("b", 100): {12}, "\ue000": nil,
	} {
		if q == "\ue000" {
			ada.Do("GET", harness.Posting+"?q="+url.QueryEscape(q), nil).WantProblem(400, "", "q")
			continue
		}
		var texts []string
		for _, i := range want {
			texts = append(texts, posts[i])
		}
		if got := ada.Search(harness.Posting, q, ""); !slices.Equal(got, texts) {
			t.Errorf("%q finds %q, want %q", q, got, texts)
		}
	}
	for _, q := range []string{"!!!", "\"", "😀", strings.Repeat("a", 201)} {
		ada.Do("GET", harness.Posting+"?q="+url.QueryEscape(q), nil).WantProblem(400, "", "q")
	}
}

// The last word matches as a prefix, with or without a space after it. Tokens match as users type them.
func TestSearchFindsPrefixes(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	posts := []string{"hello world", "привет, мир", "released v4.2", "released 4.2.1", "4 of 2", "write to ada@example.org", "on 2026-11-28", "help"}
	for _, text := range posts {
		ada.Post("lobby", text)
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
		if got := ada.Search(harness.Posting, q, ""); !slices.Equal(got, texts) {
			t.Errorf("%q finds %q, want %q", q, got, texts)
		}
	}
	// Results of a prefix search come in pages as all do, and disappear with their message.
	var want []int64
	for i := range 12 {
		want = append(want, ada.Post("lobby", fmt.Sprint("needle", i)).ID)
		ada.Post("lobby", "hay")
	}
	ada.Do("DELETE", harness.MessagePath("lobby", want[7]), nil).Want(204)
	ada.Edit("lobby", want[3], "pin")
	want = slices.Delete(slices.Delete(want, 7, 8), 3, 4)
	ada.WantPages("lobby", "need", want)
	if got := ada.Search(harness.Posting, "pi", ""); !slices.Equal(got, []string{"pin"}) {
		t.Errorf("search for the new text finds %q, want [\"pin\"]", got)
	}
}

// A search sees everything that was posted, edited or deleted before it. Its pages go both ways.
func TestSearchIsAsFreshAsHistory(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.Enter("lobby")
	for i := range 10 {
		m := ada.Post("lobby", fmt.Sprint("needle ", i))
		if got := bob.Search(harness.Posting, "needle", "&limit=1"); !slices.Equal(got, []string{m.Message}) {
			t.Fatalf("search right after posting finds %q", got)
		}
		ada.Post("lobby", "hay")
	}
	last := ada.History("lobby", "q=needle").Items
	ada.Edit("lobby", last[3].ID, "pin 3")
	ada.Do("DELETE", harness.MessagePath("lobby", last[5].ID), nil).Want(204)
	if got := bob.Search(harness.Posting, "needle", ""); len(got) != 8 || slices.Contains(got, "needle 3") || slices.Contains(got, "needle 5") {
		t.Errorf("search after an edit and a deletion finds %q", got)
	}
	if got := bob.Search(harness.Posting, "pin", ""); !slices.Equal(got, []string{"pin 3"}) {
		t.Errorf("search for the new text finds %q, want [\"pin 3\"]", got)
	}
	want := []int64{last[0].ID, last[1].ID, last[2].ID, last[4].ID, last[6].ID, last[7].ID, last[8].ID, last[9].ID}
	ada.WantPages("lobby", "needle", want)

	ada.Send("bob", "secret needle")
	for _, c := range []*harness.Client{ada, bob} {
		other := map[string]string{"ada": "bob", "bob": "ada"}[c.User.Username]
		if got := c.Search(harness.PrivatePath(other)+"/messages", "needle", ""); !slices.Equal(got, []string{"secret needle"}) {
			t.Errorf("%s finds %q, want [\"secret needle\"]", c.User.Username, got)
		}
	}
	for _, path := range []string{harness.Posting, harness.PrivatePath("ada") + "/messages", harness.PrivatePath("bob") + "/messages"} {
		if got := eve.Search(path, "secret", ""); got != nil {
			t.Errorf("eve finds %q in %s", got, path)
		}
	}

	// The index continues from its cursor, and is rebuilt if it is missing or damaged.
	for _, spoil := range []func(file string) error{
		func(string) error { return nil },
		os.Remove,
		func(file string) error {
			return os.WriteFile(file, []byte(strings.Repeat("no database ", 1000)), 0o600)
		},
	} {
		p.Stop(t)
		if err := spoil(filepath.Join(p.Settings.DataDir, "search.db")); err != nil {
			t.Fatal(err)
		}
		p = p.Again(t)
		bob := bob.On(p.Server)
		bob.Post("lobby", "thread")
		if got := bob.Search(harness.Posting, "needle", ""); len(got) != 8 {
			t.Errorf("search after a restart finds %q", got)
		}
		if got := bob.Search(harness.Posting, "thread", ""); len(got) == 0 {
			t.Error("search does not find a message posted after a restart")
		}
	}
}
