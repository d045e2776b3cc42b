package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/chat"
)

// BenchmarkSearch searches an index of TANDEM_BENCH_MESSAGES messages (100,000) for words and prefixes. It reads the
// first page in a room with half of the messages, in one with a hundred, and in one with none:
//
//	TANDEM_BENCH_MESSAGES=1000000 go test -run '^$' -bench Search -benchtime 20x -timeout 30m ./store
func BenchmarkSearch(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("TANDEM_BENCH_MESSAGES"))
	if n == 0 {
		n = 100_000
	}
	dir := b.TempDir()
	db, _, err := openIndexFile(context.Background(), filepath.Join(dir, "search.db"), chat.LogState{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	x := &index{db: db}
	const large, small, empty = chat.Topic(2), chat.Topic(4), chat.Topic(6)
	words := vocabulary(50_000)
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 2, uint64(len(words)-1))
	began := time.Now()
	for id := 1; id <= n; {
		tx, err := db.BeginTx(context.Background(), nil)
		if err != nil {
			b.Fatal(err)
		}
		for range indexPage {
			text := make([]string, 3+random.IntN(15))
			for i := range text {
				text[i] = words[zipf.Uint64()]
			}
			if id%4 == 0 { // ticket numbers: a long prefix of very many words
				text = append(text, fmt.Sprint("item", id))
			}
			topic := chat.Topic(8 + 2*random.IntN(200))
			switch {
			case id%(max(n/100, 1)) == 0:
				topic = small
			case id%2 == 0:
				topic = large
			}
			found := chat.Words(strings.Join(text, " "))
			slices.Sort(found)
			found = append(slices.Compact(found), topicWord(topic))
			if _, err := tx.Exec(`INSERT INTO words (rowid, text) VALUES (?, ?)`, id, strings.Join(found, " ")); err != nil {
				b.Fatal(err)
			}
			if id++; id > n {
				break
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		b.Fatal(err)
	}
	file, err := os.Stat(filepath.Join(dir, "search.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d messages: %.1f µs and %d bytes each", n, float64(took.Microseconds())/float64(n), file.Size()/int64(n))

	common := words[0]
	rare := words[len(words)-1]
	queries := map[string]chat.Query{
		"word": {Words: []string{common}}, "word and b*": {Words: []string{common}, Beginning: "b"}, "rare and b*": {Words: []string{rare}, Beginning: "b"},
		"ite*": {Beginning: "ite"}, "item*": {Beginning: "item"}, "item1*": {Beginning: "item1"}, "item12*": {Beginning: "item12"},
	}
	for i := 1; i <= min(5, len(common)); i++ {
		queries[common[:i]+"*"] = chat.Query{Beginning: common[:i]}
	}
	for i := 1; i <= 5; i++ {
		queries[rare[:i]+"*"] = chat.Query{Beginning: rare[:i]}
	}
	for name, q := range queries {
		for where, topic := range map[string]chat.Topic{"large": large, "small": small, "empty": empty} {
			b.Run(fmt.Sprintf("%s/%s", name, where), func(b *testing.B) {
				match := matchOf(topic, q)
				for b.Loop() {
					if _, err := x.find(context.Background(), match, ` AND rowid < ? ORDER BY rowid DESC LIMIT ?`, chat.MaxID+1, 51); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// vocabulary makes words out of syllables; common ones are short.
func vocabulary(n int) []string {
	random := rand.New(rand.NewPCG(3, 4))
	seen := make(map[string]bool, n)
	var words []string
	for len(words) < n {
		var w strings.Builder
		for range 1 + random.IntN(2+len(words)*4/n) {
			w.WriteByte("bcdfghklmnprstvw"[random.IntN(16)])
			w.WriteByte("aeiou"[random.IntN(5)])
			if random.IntN(3) == 0 {
				w.WriteByte("lnrst"[random.IntN(5)])
			}
		}
		if word := w.String(); len(word) > 1 && !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	return words
}
