package suite

// scenarios lists all scenarios. Slow ones come first.
var scenarios = []Scenario{
	{Name: "presence", Run: presence, Switch: true},
	{Name: "presence of the whole site", Run: sitePresence, Needs: []string{"?site"}},
	{Name: "ping", Run: ping, All: true, Only: streams, Needs: []string{needsSlow}},
	{Name: "token_expired", Run: tokenExpired},
	{Name: "opening", Run: opening},
	{Name: "delivery", Run: delivery, Switch: true},
	{Name: "order of many posters", Run: order, Switch: true},
	{Name: "resume by each name of a cursor", Run: resume, Switch: true},
	{Name: "cuts at any byte", Run: cuts, Switch: true},
	{Name: "resets", Run: resets, Switch: true},
	{Name: "history", Run: history, Switch: true},
	{Name: "lost rooms", Run: lost},
	{Name: "retries with a key", Run: idempotency, Switch: true},
	{Name: "refused openings", Run: refusals},
	{Name: "tickets", Run: tickets},
	{Name: "signed_out", Run: signedOut},
	{Name: "signed_out by a revoked API token", Run: tokenRevoked},
	{Name: "disabled", Run: disabled, Needs: []string{needsAdmin, "PATCH /v1/admin/users/{username}"}},
	{Name: "too_many_streams", Run: tooManyStreams},

	{Name: "bytes of chat_message", Run: bytesOfMessages, All: true},
	{Name: "bytes of a reply", Run: bytesOfReplies, All: true},
	{Name: "bytes of member_added, member_removed", Run: bytesOfMembership, All: true},
	{Name: "bytes of an invitation", Run: bytesOfInvitation, All: true, Needs: members},
	{Name: "bytes of message_edited", Run: bytesOfEdits, All: true, Needs: []string{"PATCH /v1/rooms/{room}/messages/{id}"}},
	{Name: "bytes of message_deleted", Run: bytesOfDeletion, All: true, Needs: []string{"DELETE /v1/rooms/{room}/messages/{id}"}},
	{Name: "bytes of reaction_added, reaction_removed", Run: bytesOfReactions, All: true, Needs: []string{"PUT /v1/rooms/{room}/messages/{id}/reactions/{emoji}"}},
	{Name: "bytes of room_updated, room_deleted", Run: bytesOfRoomChanges, All: true, Needs: []string{"PATCH /v1/rooms/{room}", deletesRooms}},
	{Name: "bytes of private_message", Run: bytesOfPrivateMessages, All: true, Needs: []string{privateMessages}},
	{Name: "bytes of changed private messages", Run: bytesOfPrivateChanges, All: true, Needs: []string{privateMessages, "PATCH /v1/private/{username}/messages/{id}", "DELETE /v1/private/{username}/messages/{id}"}},
	{Name: "bytes of message_pinned, message_unpinned", Run: bytesOfPins, All: true, Needs: []string{pins}},
	{Name: "bytes of message_seen", Run: bytesOfReceipts, All: true, Needs: []string{"GET /v1/private/{username}/seen"}},
	{Name: "bytes of user_updated", Run: bytesOfProfiles, All: true, Needs: []string{"GET /v1/users/{username}"}},
	{Name: "invisible", Run: invisible, Only: streams, Needs: []string{"GET /v1/users/{username}"}},
	{Name: "bytes of private pins", Run: bytesOfPrivatePins, All: true, Needs: []string{privateMessages, "PUT /v1/private/{username}/messages/{id}/pin"}},
	{Name: "bytes of files", Run: bytesOfFiles, All: true, Needs: []string{uploads, "POST /v1/private/{username}/files"}},
	{Name: "bytes of user_join", Run: bytesOfPresence, All: true, Only: streams},
	{Name: "bytes of user_typing", Run: bytesOfTyping, All: true, Needs: []string{"POST /v1/rooms/{room}/typing"}},
	{Name: "bytes of message_read", Run: bytesOfReadMarkers, All: true, Needs: []string{"PUT /v1/rooms/{room}/read"}},

	{Name: "bytes of data", Run: bytesOfData, All: true, Needs: []string{customEvents}},
	{Name: "bytes of a thread", Run: bytesOfThreads, All: true, Needs: []string{mentions}},
	{Name: "bytes of mentions", Run: bytesOfMentions, All: true, Needs: []string{mentions}},
	{Name: "bytes of a message via an inlet", Run: bytesViaInlet, All: true, Needs: []string{"POST /v1/rooms/{room}/inlets"}},
	{Name: "bytes of custom_event", Run: bytesOfCustomEvents, All: true, Needs: []string{customEvents}},
	{Name: "bytes of an ephemeral custom_event", Run: bytesOfEphemeralCustomEvents, All: true, Needs: []string{customEvents}},

	{Name: "removed from a room", Run: removal, Switch: true, Needs: members},
	{Name: "banned from a room", Run: ban, Switch: true, Needs: append(members, "PUT /v1/rooms/{room}/bans/{username}")},
	{Name: "room deleted", Run: roomDeleted, Switch: true, Needs: []string{deletesRooms}},
	{Name: "room=*", Run: starRooms, Switch: true, Needs: members},
	{Name: "room=*, changed while away", Run: starAway, Switch: true},

	{Name: "commands", Run: commands, Only: sockets},
	{Name: "commands in short forms", Run: shortForms, Only: sockets},
	{Name: "commands in order", Run: commandsInOrder, Only: sockets},
	{Name: "frames that end the socket", Run: badFrames, Only: sockets},

	{Name: "SSE headers", Run: sseHeaders, Only: isSSE},
	{Name: "SSE by default", Run: byDefault, Only: isSSE},
	{Name: "asked for by format", Run: formats},
	{Name: "single polls", Run: polling, Only: isPoll},

	{Name: "blank messages over the socket", Run: blankCommands, Only: sockets},
	{Name: "blank messages", Run: blankMessages, REST: true},
	{Name: "search", Run: search, REST: true},
	{Name: "bad calls", Run: badCalls, REST: true},
	{Name: "files", Run: files, REST: true, Needs: append(members, uploads, "GET /v1/files/{id}", "POST /v1/files/{id}/link")},
	{Name: "who is in a room", Run: usersNow, REST: true, Needs: []string{"GET /v1/rooms/{room}/users"}},

	{Name: "restart", Run: restart, All: true, Alone: true, Needs: []string{needsRestart}},
}

// Needs shared by several scenarios.
const (
	deletesRooms    = "DELETE /v1/rooms/{room}"
	customEvents    = "POST /v1/rooms/{room}/events"
	mentions        = "GET /v1/me/mentions"
	privateMessages = "POST /v1/private/{username}/messages"
	pins            = "PUT /v1/rooms/{room}/messages/{id}/pin"
)

var members = []string{"PUT /v1/rooms/{room}/members/{username}", "DELETE /v1/rooms/{room}/members/{username}"}

func streams(tr Transport) bool { return tr.Wire != Poll }
func sockets(tr Transport) bool { return tr.Wire == WebSocket }
func isSSE(tr Transport) bool   { return tr.Wire == SSE }
func isPoll(tr Transport) bool  { return tr.Wire == Poll }

// Scenarios returns the names of all scenarios.
func Scenarios() (names []string) {
	for i := range scenarios {
		names = append(names, scenarios[i].Name)
	}
	return names
}
