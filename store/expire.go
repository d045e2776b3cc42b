package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/chat"
)

// part is a table that may have rows about deleted messages: where they are in a JSON list, ?, which is list.
type part struct{ table, where, list string }

// statement is a query that returns no rows.
type statement struct {
	query string
	args  []any
}

// expiry is what one step of retention deletes: events, and everything that the database has about them, except pinned
// messages and their edits. It is planned before the log is locked, and done if nothing has changed by then.
type expiry struct {
	events []chat.Event // the candidates
	found  []finding    // about them when this was planned
	parts  []part
	edits  []chat.Event // that are younger than their message, to be scrubbed

	all      []int64 // the events to delete
	messages []int64 // the messages among them
	threaded []chat.Event
	numbers  string // all and places as JSON
	places   string
}

// finding is a row about a candidate: a pin of a message, the number of an edit, or that a part has any row.
type finding struct {
	part   int // pinFound, or an index of partsOf
	number int64
}

const (
	pinFound  = -1
	editFound = 0 // the index of the edits in partsOf
)

// partsOf returns the tables beside the log. events is the list of the numbers of the deleted events, places that of the
// topics and numbers of the messages among them.
func partsOf(d *dialect, events, places string) []part {
	of := func(table, column string) part { return part{table, column + ` IN (` + d.numbers(`?`) + `)`, events} }
	return []part{
		of("edits", "message_id"),
		of("reactions", "message_id"),
		of("mentions", "message_id"),
		of("thread_authors", "root_id"),
		of("reports", "message_id"), // their reasons are texts too
		of("files", "message_id"),
		of("idempotency", "event_id"),
		{"deletions", `(topic, message_id) IN (` + d.pairs() + `)`, places},
	}
}

// findings returns the query for what the database has about events. One query does for all tables: most messages are in
// none of them, and each query makes posts wait.
func findings(d *dialect, events []chat.Event) (statement, error) {
	numbers, places := make([]int64, 0, len(events)), make([][2]int64, 0, len(events))
	for _, e := range events {
		numbers = append(numbers, e.ID)
		if message := e.Subject(); message != 0 {
			places = append(places, [2]int64{int64(chat.Within(e)), message})
		}
	}
	numbersText, err1 := numbersOf(numbers)
	placesText, err2 := json.Marshal(places)
	looks := []string{fmt.Sprintf(`SELECT CAST(%d AS bigint), message_id FROM pins WHERE (topic, message_id) IN (%s)`, pinFound, d.pairs())}
	lists := []any{string(placesText)}
	for i, p := range partsOf(d, numbersText, string(placesText)) {
		look := fmt.Sprintf(`SELECT CAST(%d AS bigint), CAST(0 AS bigint) WHERE EXISTS (SELECT 1 FROM %s WHERE %s)`, i, p.table, p.where)
		if i == editFound {
			look = fmt.Sprintf(`SELECT CAST(%d AS bigint), event_id FROM %s WHERE %s`, i, p.table, p.where)
		}
		looks, lists = append(looks, look), append(lists, p.list)
	}
	return statement{strings.Join(looks, ` UNION ALL `) + ` ORDER BY 1, 2`, lists}, errors.Join(err1, err2)
}

func scanFinding(row scanner) (f finding, err error) {
	err = row.Scan(&f.part, &f.number)
	return f, err
}

// planExpiry plans the deletion of events by what the database has about them.
func planExpiry(d *dialect, events []chat.Event, find func(statement) ([]finding, error), read func(statement) ([]chat.Event, error)) (*expiry, error) {
	look, err := findings(d, events)
	if err != nil {
		return nil, err
	}
	found, err := find(look)
	if err != nil {
		return nil, err
	}
	x := &expiry{events: events, found: found}
	var parts []int
	pinned := make(map[int64]bool)
	for _, f := range found {
		if f.part == pinFound {
			pinned[f.number] = true
		} else if !slices.Contains(parts, f.part) {
			parts = append(parts, f.part)
		}
	}
	var places [][2]int64 // topic and message
	for _, e := range events {
		message := e.Subject()
		if message != 0 && pinned[message] {
			continue
		}
		x.all = append(x.all, e.ID)
		if message == e.ID {
			x.messages, places = append(x.messages, e.ID), append(places, [2]int64{int64(chat.Within(e)), e.ID})
			if e.Thread != 0 {
				x.threaded = append(x.threaded, e)
			}
		}
	}
	numbers, err1 := numbersOf(x.all)
	placesText, err2 := json.Marshal(places)
	x.numbers, x.places = numbers, string(placesText)
	all := partsOf(d, x.numbers, x.places)
	for _, i := range parts {
		x.parts = append(x.parts, all[i])
	}
	if err := errors.Join(err1, err2); err != nil || !x.has("edits") {
		return x, err
	}
	x.edits, err = read(x.editsBeyond(d))
	return x, err
}

// editsBeyond returns the query for edits of deleted messages that are not deleted with them.
func (x *expiry) editsBeyond(d *dialect) statement {
	return statement{selectEvents + ` WHERE id IN (SELECT event_id FROM edits WHERE message_id IN (` + d.numbers(`?`) + `))
		AND id NOT IN (` + d.numbers(`?`) + `)`, []any{x.numbers, x.numbers}}
}

// has reports whether the table has rows to delete.
func (x *expiry) has(table string) bool {
	return slices.ContainsFunc(x.parts, func(p part) bool { return p.table == table })
}

// statements returns what deletes it.
func (x *expiry) statements(d *dialect) (all []statement, err error) {
	if len(x.all) == 0 {
		return nil, nil
	}
	add := func(query string, args ...any) { all = append(all, statement{query, args}) }
	for _, e := range x.threaded { // the thread's first message may stay
		all = append(all, leavesThread(e, ` AND NOT EXISTS (SELECT 1 FROM deletions WHERE topic = ?3 AND message_id = ?4)`, e.ID)...)
	}
	for _, e := range x.edits {
		if e, err = chat.Scrub(e); err != nil {
			return nil, err
		}
		add(`UPDATE events SET body = ? WHERE id = ?`, e.Body, e.ID)
	}
	for _, p := range x.parts {
		if p.table == "files" { // as removeFiles does
			add(`INSERT INTO file_deletions (id) SELECT id FROM files WHERE `+p.where, p.list)
		}
		add(`DELETE FROM `+p.table+` WHERE `+p.where, p.list)
	}
	add(`DELETE FROM events WHERE id IN (`+d.numbers(`?`)+`)`, x.numbers)
	return all, nil
}

// notice returns the event that tells the nodes which messages are gone.
func (x *expiry) notice() chat.Event { return chat.ControlEvent{Expired: x.messages}.Event(0) }

// expire plans the deletion of events and does it.
func (t *tx) expire(events []chat.Event) error {
	if len(events) == 0 {
		return nil
	}
	d := t.w.dialect
	x, err := planExpiry(d, events,
		func(q statement) ([]finding, error) { return listIn(t, scanFinding, q.query, q.args...) },
		func(q statement) ([]chat.Event, error) { return listIn(t, scanEvent, q.query, q.args...) })
	if err != nil {
		return err
	}
	statements, err := x.statements(d)
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := t.exec(s.query, s.args...); err != nil {
			return unavailable(err)
		}
	}
	t.unfiled = t.unfiled || x.has("files")
	if len(x.messages) > 0 {
		_, err = t.append(x.notice())
	}
	return err
}

// expireUnpinned deletes a message that was only kept because it was pinned.
func (t *tx) expireUnpinned(topic chat.Topic, message int64) error {
	var swept int64
	if err := t.queryRow(`SELECT max(swept) FROM (SELECT swept FROM log UNION ALL SELECT swept FROM rooms WHERE id = ?) f`, roomOf(topic)).Scan(&swept); err != nil {
		return unavailable(err)
	}
	if message >= swept { // the deletion has not come to it yet
		return nil
	}
	events, err := listIn(t, scanEvent, selectEvents+` WHERE id = ? OR id IN (SELECT event_id FROM edits WHERE message_id = ? AND event_id < ?)`, message, message, swept)
	if err != nil {
		return err
	}
	t.scrubbed = true
	return t.expire(events)
}

// roomOf returns the number of a topic's room, 0 if it is not a room's topic.
func roomOf(topic chat.Topic) int64 {
	if !topic.IsRoom() {
		return 0
	}
	return topic.Number()
}
