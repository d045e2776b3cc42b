package rooms

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestCreatedRoomBelongsToItsCreator(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	var made, seen harness.Room
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "Dev", Title: "Tools & <talk>", Visibility: "public", Posting: "everyone"}).Want(201).Into(&made)
	if made.Name != "dev" || made.Title != "Tools & <talk>" || made.CreatedBy != "ada" || made.Role == nil || *made.Role != "owner" {
		t.Errorf("created room = %+v", made)
	}
	if made.LastID != 0 || made.Online != 0 {
		t.Errorf("new room has last_id %d, online %d; want 0 and 0", made.LastID, made.Online)
	}
	bob.Do("GET", "/v1/rooms/dev", nil).Want(200).Into(&seen)
	if seen.Role != nil || seen.CreatedBy != "ada" {
		t.Errorf("room as a non-member sees it = %+v", seen)
	}
	for _, same := range []string{"dev", "DEV", "ｄｅｖ"} {
		bob.Do("POST", "/v1/rooms", harness.NewRoom{Name: same}).WantProblem(409, "room_exists", "")
	}
}

func TestEnteringCreatesRoomAndMembership(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("PUT", "/v1/rooms/Lobby", nil).Want(201)
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()

	var entered harness.Room
	bob.Do("PUT", "/v1/rooms/lobby", nil).Want(200).Into(&entered)
	if entered.Name != "lobby" || entered.Role == nil || *entered.Role != "member" {
		t.Errorf("room entered by bob = %+v", entered)
	}
	if got := s.Must("member_added"); got.User != "bob" || got.Target != "bob" || got.Role != "member" || got.Room != "lobby" {
		t.Errorf("ada got %s", got.Raw)
	}
	bob.Do("PUT", "/v1/rooms/LOBBY", nil).Want(200) // again: nothing happens
	bob.Post("lobby", "marker")
	s.Message("marker")
}

func TestUnknownRoomIsNotFound(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Do("GET", "/v1/rooms/nowhere", nil).WantProblem(404, "room_not_found", "")
	ada.Do("GET", "/v1/rooms/nowhere/messages", nil).WantProblem(404, "room_not_found", "")
	ada.Do("POST", "/v1/rooms/nowhere/messages", harness.Raw("hi")).WantProblem(404, "room_not_found", "")
	ada.Do("GET", "/v1/rooms/nowhere", nil).Want(404) // and none of these calls created the room
}

func TestRoomNamesOfAllScripts(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for given, prepared := range map[string]string{
		"комната": "комната", "Комната-2": "комната-2", "小明的房间": "小明的房间", "cafe\u0301": "caf\u00e9",
		"-": "-", "_.-": "_.-", "...": "...", "7": "7", strings.Repeat("я", 64): strings.Repeat("я", 64),
	} {
		if r := ada.Enter(given); r.Name != prepared {
			t.Errorf("room name %q = %q, want %q", given, r.Name, prepared)
		}
		var seen harness.Room
		ada.Do("GET", harness.RoomPath(prepared), nil).Want(200).Into(&seen)
		if posted := ada.Post(given, "привет"); posted.Room != prepared {
			t.Errorf("post to %q: room = %q", given, posted.Room)
		}
		s := ada.Open(harness.OverWS, "history=1&room="+url.QueryEscape(given))
		if open := s.Opening(); !slices.Equal(open.Rooms, []string{prepared}) {
			t.Errorf("stream of %q: rooms = %q", given, open.Rooms)
		}
		s.Message("привет")
		s.Close()
	}
	ada.Do("GET", "/v1/rooms/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0", nil).Want(200)
	ada.Enter("lobby")
	ada.Do("GET", "/v1/rooms/lo%62by", nil).Want(200) // any character may be percent-encoded
	ada.Do("GET", "/v1/rooms/LO%42BY", nil).Want(200)
}

func TestRoomListPages(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	list := func(query string) (names []string, next *string) {
		t.Helper()
		var page struct {
			Items []harness.Room
			Next  *string
		}
		ada.Do("GET", "/v1/rooms?"+query, nil).Want(200).Into(&page)
		for _, r := range page.Items {
			names = append(names, r.Name)
		}
		return names, page.Next
	}
	if names, next := list(""); len(names) != 0 || next != nil {
		t.Errorf("list without rooms = %v, next %v", names, next)
	}
	want := []string{"ant", "bee", "cat", "dog", "комната", "小明"}
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		ada.Enter(want[i])
	}
	for _, limit := range []string{"1", "2", "3", "5", "6", "7", "100"} {
		var all []string
		query := ""
		for pages := 0; ; pages++ {
			if pages > len(want) {
				t.Fatalf("limit %s: list does not end", limit)
			}
			names, next := list("limit=" + limit + query)
			all = append(all, names...)
			if next == nil {
				break
			}
			if len(names) == 0 {
				t.Fatalf("limit %s: empty page with a next", limit)
			}
			query = "&after=" + url.QueryEscape(*next)
		}
		if !slices.Equal(all, want) {
			t.Errorf("limit %s: the pages have %v, want %v", limit, all, want)
		}
	}
	if names, _ := list("after=bzz"); !slices.Equal(names, want[2:]) {
		t.Errorf("page after a name without a room = %v", names)
	}
}

func TestRoomShowsLastMessageAndPresentUsers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	posted := bob.Post("lobby", "no membership needed")
	ada.Enter("other") // the id of an event elsewhere is not a message here
	one, two := ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby")
	one.Opening()
	two.Opening()
	var got harness.Room
	ada.Do("GET", "/v1/rooms/lobby", nil).Want(200).Into(&got)
	if got.LastID != posted.ID || got.Online != 1 {
		t.Errorf("last_id = %d, want %d; %d online, want 1", got.LastID, posted.ID, got.Online)
	}
}

// If many users create the same room at the same moment, one creates it and all become members.
func TestConcurrentEntriesCreateOneRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	statuses := make([]int, 16)
	harness.InParallel(len(statuses), func(i int) {
		a, err := []*harness.Client{ada, bob}[i%2].Try("PUT", "/v1/rooms/race", nil)
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.Status
	})
	slices.Sort(statuses)
	if statuses[14] != 200 || statuses[15] != 201 {
		t.Errorf("answers = %v, not one 201 and else 200", statuses)
	}
	s := ada.Open(harness.OverSSE, "room=race&since=0")
	s.Opening()
	ada.Post("race", "marker")
	targets := map[string]int{}
	for _, e := range s.UntilMessage("marker") {
		if e.Type == "member_added" {
			targets[e.Target]++
		}
	}
	if targets["ada"] != 1 || targets["bob"] != 1 {
		t.Errorf("member_added events = %v, want one each", targets)
	}
}
