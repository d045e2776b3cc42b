package suite

import (
	"fmt"
	"net/url"
	"strings"
)

const uploads = "POST /v1/rooms/{room}/files"

// file is an uploaded file.
type file struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	Type    string `json:"type"`
	Preview bool   `json:"preview"`
}

// Upload uploads a file to the room or conversation at path to.
func (u *User) Upload(to, name, content string) (f file) {
	u.Do("POST", to+"/files?name="+url.QueryEscape(name), Raw(content), "Content-Type: application/octet-stream").Want(201).Into(&f)
	return f
}

func filePath(f file) string { return "/v1/files/" + f.ID }

// bytesOfFiles compares messages with files, in a room and in a conversation, and what is left after their deletion.
func bytesOfFiles(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	c.Rewritten = true
	var posts []Event
	for _, to := range []string{roomPath(room), privatePath(bob.Name)} {
		first, second := ada.Upload(to, "наша <кошка>.txt", "meow"), ada.Upload(to, "b \"quoted\".txt", "b")
		ids := []string{second.ID, first.ID}
		posts = append(posts, c.Answered(ada.Do("POST", to+"/messages", map[string]any{"files": ids}).Want(201).Event()))
		last := posts[len(posts)-1]
		if at := strings.Index(last.Raw, second.ID); at < 0 || strings.Index(last.Raw, first.ID) < at || !strings.Contains(last.Raw, `"message":"","files":[`) {
			t.Errorf("post = %s", last.Raw)
		}
		ada.Do("POST", to+"/messages", map[string]any{"message": "again", "files": ids}).Problem(400, "", "files")
	}
	c.Await("the files", func(e Event) bool { return e.ID == posts[1].ID })
	ada.Do("DELETE", roomPath(room, "messages", id(posts[0])), nil).OK()
	ada.Do("DELETE", privatePath(bob.Name, "messages", id(posts[1])), nil).OK()
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "private_message", "message_deleted", "message_deleted", "chat_message")
	for _, r := range c.readings {
		for _, post := range posts {
			if raw := r.events[post.ID]; !r.live && (strings.Contains(raw, "files") || !strings.Contains(raw, `"deleted":true`)) {
				t.Errorf("%s: deleted message replayed as %s", r.column, raw)
			}
		}
	}
}

// files checks that a file can be read by those who may read its message, and by nobody else.
func files(t *T) {
	ada, bob, eve := t.User(), t.User(), t.User()
	room := t.PrivateRoom(ada)
	to := roomPath(room)
	f := ada.Upload(to, "../../digits.txt", "0123456789")
	if f.Name != "digits.txt" || f.Size != 10 || !strings.HasPrefix(f.Type, "text/plain") || f.Preview || len(f.ID) != 22 {
		t.Errorf("upload = %+v", f)
	}
	eve.Do("POST", to+"/files", Raw("x")).Problem(404, "room_not_found", "room")
	ada.Do("POST", to+"/files", Raw("")).Problem(400, "", "file")
	ada.Do("PUT", roomPath(room, "members", bob.Name), map[string]string{"role": "member"}).OK()
	unknown := eve.Do("GET", "/v1/files/"+strings.Repeat("A", 22), nil).Body
	refused := func(u *User, when string) {
		a := u.Do("GET", filePath(f), nil)
		a.Problem(404, "file_not_found", "id")
		if a.Body != unknown {
			t.Errorf("%s a forbidden file is distinguishable from a missing one: %s", when, a.Body)
		}
		u.Do("POST", filePath(f)+"/link", nil).Problem(404, "file_not_found", "id")
	}
	refused(bob, "before it is posted")
	post := ada.Do("POST", to+"/messages", map[string]any{"files": []string{f.ID}}).Want(201).Event()
	refused(eve, "no member:")
	whole := bob.Do("GET", filePath(f), nil).Want(200)
	if whole.Body != "0123456789" || !strings.HasPrefix(whole.Header.Get("Content-Disposition"), "attachment;") ||
		!strings.Contains(whole.Header.Get("Content-Security-Policy"), "sandbox") || whole.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("file = %q with headers %v", whole.Body, whole.Header)
	}
	bob.Do("GET", filePath(f), nil, "If-None-Match: "+whole.Header.Get("ETag")).Want(304)
	if part := bob.Do("GET", filePath(f), nil, "Range: bytes=2-4").Want(206); part.Body != "234" {
		t.Errorf("range = %q", part.Body)
	}
	var link struct {
		URL       string `json:"url"`
		ExpiresIn int    `json:"expires_in"`
	}
	bob.Do("POST", filePath(f)+"/link", nil).Want(200).Into(&link)
	if a := t.Do("GET", t.Below(link.URL), nil).Want(200); a.Body != whole.Body || link.ExpiresIn != 3600 {
		t.Errorf("link %+v returned %q", link, a.Body)
	}
	page := bob.Upload(to, "page.png", "<!DOCTYPE html><script>alert(1)</script>")
	if a := bob.Do("GET", filePath(page), nil).Want(200); !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("HTML file sent with headers %v", a.Header)
	}
	if t.server.lacks(members[1]) == "" {
		ada.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
		refused(bob, "removed:")
		t.Do("GET", t.Below(link.URL), nil).Problem(404, "file_not_found", "id")
	}
	ada.Do("DELETE", fmt.Sprint(to, "/messages/", post.ID), nil).OK()
	refused(ada, "deleted:")
}
