package operate

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// An export has pins, read receipt settings and profiles, and nothing that was removed. Of deleted accounts it has the
// names, which stay taken.
func TestExportContainsPinsAndMembers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, gone := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "gone")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "den", "visibility": "private", "receipts": true}).Want(201)
	first, second, third := ada.Post("den", "first"), ada.Post("den", "second"), ada.Post("den", "canary")
	told, deleted := ada.Send("bob", "psst"), ada.Send("ada", "canary too")
	for _, m := range []harness.Event{first, second, third} {
		ada.Do("PUT", harness.MessagePath("den", m.ID)+"/pin", nil).Want(204)
	}
	bob.Do("PUT", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", told.ID, "/pin"), nil).Want(204)
	ada.Do("PUT", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", deleted.ID, "/pin"), nil).Want(204)
	ada.Do("DELETE", harness.MessagePath("den", third.ID), nil).Want(204)
	ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", deleted.ID), nil).Want(204)
	bob.ChangeMe(harness.Raw(`{"display_name":"Bob <b>","data":{"n":1.0}}`))
	gone.ChangeMe(harness.Raw(`{"display_name":"canary","data":{"a":"canary"}}`))
	gone.Do("DELETE", "/v1/me", harness.Fields{"current_password": gone.Password}).Want(204)
	for _, private := range []bool{false, true} {
		args, want := []string{"export"}, []string{`{"type":"user","username":"bob","display_name":"Bob <b>","data":{"n":1.0}}`, `{"type":"user","username":"gone","disabled":true}`}
		if private {
			args = append(args, "--private")
			want = append(want, fmt.Sprintf(`{"type":"conversation","users":["ada","bob"],"pins":[%d]}`, told.ID))
		}
		out, err := harness.Tandem(t, p.Settings.DataDir, args...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, `"type":"user"`) || strings.Contains(line, `"type":"conversation"`) {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("export =\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if !bytes.Contains(out, fmt.Appendf(nil, `"receipts":true,"pins":[%d,%d]}`, second.ID, first.ID)) || bytes.Contains(out, []byte("canary")) {
			t.Errorf("export =\n%s", out)
		}
	}
}
