package program

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

type newRoom struct {
	Name       string `json:"name"`
	Title      string `json:"title,omitempty"`
	Visibility string `json:"visibility,omitempty"`
	Posting    string `json:"posting,omitempty"`
}

func TestCreatedRoomBelongsToItsMaker(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	var made, seen room
	ada.do("POST", "/v1/rooms", newRoom{Name: "Dev", Title: "Tools & <talk>", Visibility: "public", Posting: "everyone"}).want(201).into(&made)
	if made.Name != "dev" || made.Title != "Tools & <talk>" || made.CreatedBy != "ada" || made.Role == nil || *made.Role != "owner" {
		t.Errorf("made %+v", made)
	}
	if made.LastID != 0 || made.Online != 0 {
		t.Errorf("a new room has last_id %d and %d online", made.LastID, made.Online)
	}
	bob.do("GET", "/v1/rooms/dev", nil).want(200).into(&seen)
	if seen.Role != nil || seen.CreatedBy != "ada" {
		t.Errorf("bob, who is no member, sees %+v", seen)
	}
	for _, same := range []string{"dev", "DEV", "ｄｅｖ"} {
		bob.do("POST", "/v1/rooms", newRoom{Name: same}).wantProblem(409, "room_exists", "")
	}
}

func TestEnteringMakesRoomAndMember(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.do("PUT", "/v1/rooms/Lobby", nil).want(201)
	s := ada.open(overSSE, "room=lobby")
	s.opening()

	var entered room
	bob.do("PUT", "/v1/rooms/lobby", nil).want(200).into(&entered)
	if entered.Name != "lobby" || entered.Role == nil || *entered.Role != "member" {
		t.Errorf("bob entered %+v", entered)
	}
	if got := s.must("member_added"); got.User != "bob" || got.Target != "bob" || got.Role != "member" || got.Room != "lobby" {
		t.Errorf("ada saw %s", got.raw)
	}
	bob.do("PUT", "/v1/rooms/LOBBY", nil).want(200) // again: nothing happens
	bob.post("lobby", "marker")
	s.message("marker")
}

func TestUnknownRoomIsNotFound(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.do("GET", "/v1/rooms/nowhere", nil).wantProblem(404, "room_not_found", "")
	ada.do("GET", "/v1/rooms/nowhere/messages", nil).wantProblem(404, "room_not_found", "")
	ada.do("POST", "/v1/rooms/nowhere/messages", raw("hi")).wantProblem(404, "room_not_found", "")
	ada.do("GET", "/v1/rooms/nowhere", nil).want(404) // and none of it made the room
}

func TestRoomNamesOfAllScripts(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for given, prepared := range map[string]string{
		"комната": "комната", "Комната-2": "комната-2", "小明的房间": "小明的房间", "cafe\u0301": "caf\u00e9",
		"-": "-", "_.-": "_.-", "...": "...", "7": "7", strings.Repeat("я", 64): strings.Repeat("я", 64),
	} {
		if r := ada.enter(given); r.Name != prepared {
			t.Errorf("%q became %q, not %q", given, r.Name, prepared)
		}
		var seen room
		ada.do("GET", roomPath(prepared), nil).want(200).into(&seen)
		if posted := ada.post(given, "привет"); posted.Room != prepared {
			t.Errorf("a post into %q says it is in %q", given, posted.Room)
		}
		s := ada.open(overWS, "history=1&room="+url.QueryEscape(given))
		if open := s.opening(); !slices.Equal(open.Rooms, []string{prepared}) {
			t.Errorf("a stream of %q follows %q", given, open.Rooms)
		}
		s.message("привет")
		s.close()
	}
	ada.do("GET", "/v1/rooms/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0", nil).want(200)
	ada.enter("lobby")
	ada.do("GET", "/v1/rooms/lo%62by", nil).want(200) // any character may be encoded
	ada.do("GET", "/v1/rooms/LO%42BY", nil).want(200)
}

func TestRoomListPages(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	list := func(query string) (names []string, next *string) {
		t.Helper()
		var page struct {
			Items []room
			Next  *string
		}
		ada.do("GET", "/v1/rooms?"+query, nil).want(200).into(&page)
		for _, r := range page.Items {
			names = append(names, r.Name)
		}
		return names, page.Next
	}
	if names, next := list(""); len(names) != 0 || next != nil {
		t.Errorf("with no room the list is %v, next %v", names, next)
	}
	want := []string{"ant", "bee", "cat", "dog", "комната", "小明"}
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		ada.enter(want[i])
	}
	for _, limit := range []string{"1", "2", "3", "5", "6", "7", "100"} {
		var all []string
		query := ""
		for pages := 0; ; pages++ {
			if pages > len(want) {
				t.Fatalf("limit %s: the list never ends", limit)
			}
			names, next := list("limit=" + limit + query)
			all = append(all, names...)
			if next == nil {
				break
			}
			if len(names) == 0 {
				t.Fatalf("limit %s: an empty page has a next", limit)
			}
			query = "&after=" + url.QueryEscape(*next)
		}
		if !slices.Equal(all, want) {
			t.Errorf("limit %s: the pages hold %v, not %v", limit, all, want)
		}
	}
	if names, _ := list("after=bzz"); !slices.Equal(names, want[2:]) {
		t.Errorf("behind a name that is no room come %v", names)
	}
}

func TestRoomTellsLastMessageAndWhoIsThere(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	posted := bob.post("lobby", "no membership needed")
	ada.enter("other") // an event elsewhere is no message here
	one, two := ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")
	one.opening()
	two.opening()
	var got room
	ada.do("GET", "/v1/rooms/lobby", nil).want(200).into(&got)
	if got.LastID != posted.ID || got.Online != 1 {
		t.Errorf("last_id is %d, not %d; %d online, not 1", got.LastID, posted.ID, got.Online)
	}
}

// Of many who make the same room at the same moment one makes it, and all are in it.
func TestConcurrentEntriesMakeOneRoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	statuses := make([]int, 16)
	inParallel(len(statuses), func(i int) {
		a, err := []*client{ada, bob}[i%2].try("PUT", "/v1/rooms/race", nil)
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.status
	})
	slices.Sort(statuses)
	if statuses[14] != 200 || statuses[15] != 201 {
		t.Errorf("the answers were %v, not one 201 and else 200", statuses)
	}
	s := ada.open(overSSE, "room=race&since=0")
	s.opening()
	ada.post("race", "marker")
	targets := map[string]int{}
	for _, e := range s.untilMessage("marker") {
		if e.Type == "member_added" {
			targets[e.Target]++
		}
	}
	if targets["ada"] != 1 || targets["bob"] != 1 {
		t.Errorf("became members: %v", targets)
	}
}
