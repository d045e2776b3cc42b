package chat

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMentions is how many users a message can mention.
	maxMentions = 50
	// maxMentionsAll is the largest room in which every member can use @all.
	maxMentionsAll = 100
	// mentionAll is the name that means everyone; no account has it.
	mentionAll = "all"
	// Everybody is the user number that means all members of a room.
	Everybody int64 = 0
)

// Mentions are the users that a text mentions.
type Mentions struct {
	Names []string // prepared, in the order of the text, each once
	All   bool     // every member of the room
	users []int64  // the numbers of both, as in Message
}

// mentionsIn finds the users that txt mentions, among those who may read the room.
func (s *Service) mentionsIn(ctx context.Context, r RoomView, txt string) (m Mentions, err error) {
	at := mentionsOf(txt)
	if len(at) == 0 {
		return m, nil
	}
	for _, names := range at {
		m.All = m.All || names[0] == mentionAll
	}
	if m.All && r.rank() < moderator {
		members, err := s.store.CountMembers(ctx, r.ID, maxMentionsAll+1)
		if err != nil {
			return m, err
		}
		m.All = members <= maxMentionsAll
	}
	readers, err := s.store.Readers(ctx, r.Room, slices.Concat(at...))
	if err != nil {
		return m, err
	}
	m.choose(at, readers)
	if m.All {
		m.users = append(m.users, Everybody)
	}
	return m, nil
}

// Mentions returns a page of the messages that mention v, in rooms that v may read now.
func (s *Service) Mentions(ctx context.Context, v Viewer, before int64, limit int) (MessagePage, error) {
	if v.Only != nil {
		return MessagePage{}, ErrTokenScope
	}
	page, err := s.store.Mentions(ctx, v.User, Page{Before: before, Limit: limit})
	if err == nil {
		err = s.Present(ctx, v, page.Events)
	}
	return page, err
}

// mentionsBetween finds which of the two users in a conversation txt mentions. They are notified of each message
// anyway.
func mentionsBetween(a, b User, txt string) (m Mentions) {
	m.choose(mentionsOf(txt), map[string]int64{a.Name: a.ID, b.Name: b.ID})
	m.users = nil
	return m
}

// choose picks, for each @, the longest candidate that is an existing name.
func (m *Mentions) choose(at [][]string, users map[string]int64) {
	seen := map[string]bool{}
	for _, names := range at {
		for _, name := range names {
			id, there := users[name]
			if !there {
				continue
			}
			if !seen[name] && len(m.Names) < maxMentions {
				seen[name] = true
				m.Names, m.users = append(m.Names, name), append(m.users, id)
			}
			break
		}
	}
}

// maxNames bounds how many names one message looks up.
const maxNames = 200

// mentionsOf returns, for each @ in txt without a letter or digit before it, the usernames that may follow it, the
// longest first: "@ada.b." may mean "ada.b." or ada.b or ada. In scripts without spaces a name can end after any
// letter.
func mentionsOf(txt string) (all [][]string) {
	count := 0
	for i := 0; count < maxNames; i++ {
		next := strings.IndexByte(txt[i:], '@')
		if next < 0 {
			break
		}
		i += next
		if before, _ := utf8.DecodeLastRuneInString(txt[:i]); i > 0 && isWordy(before) {
			continue
		}
		if names := namesAt(txt[i+1:]); len(names) > 0 {
			all, count = append(all, names), count+len(names)
		}
	}
	return all
}

// namesAt returns the usernames that txt may start with, the longest first.
func namesAt(txt string) (names []string) {
	var ends []int
	var last rune // the previous one; 0 at the beginning
	end := len(txt)
	runes := 0
	for i, r := range txt {
		word := isWordy(r) || isJoiner(r)
		if !word && !strings.ContainsRune("_.-", r) || runes == 32 {
			end = i
			break
		}
		if last != 0 && (isWordy(last) && !word || unicode.In(last, unspaced...)) {
			ends = append(ends, i)
		}
		last = r
		runes++
	}
	for _, e := range append(ends, end) {
		if name, err := PrepareUsername(txt[:e]); err == nil {
			names = append(names, name)
		}
	}
	slices.Reverse(names)
	return names
}
