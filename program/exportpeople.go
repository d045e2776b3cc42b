package program

import (
	"context"
	"encoding/json"

	"tandem/chat"
)

// exportedPerson is the line of a user who has a profile or is disabled.
type exportedPerson struct {
	Type        string          `json:"type"` // "user"
	Username    string          `json:"username"`
	DisplayName string          `json:"display_name,omitempty"`
	Avatar      string          `json:"avatar,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Disabled    bool            `json:"disabled,omitempty"` // or deleted
}

// exportedConversation is the line of a conversation with pinned messages.
type exportedConversation struct {
	Type  string   `json:"type"` // "conversation"
	Users []string `json:"users"`
	Pins  []int64  `json:"pins"`
}

// people writes users who have a profile or are disabled, by name.
func (a *Admin) people(ctx context.Context, lines *json.Encoder) error {
	for after := ""; ; {
		page, err := a.store.People(ctx, chat.People{After: after, Limit: exportPage, Disabled: true})
		if err != nil {
			return err
		}
		for _, p := range page {
			after = p.Name
			line := exportedPerson{"user", p.Name, p.DisplayName, p.Avatar, p.Data, p.Disabled}
			if p.DisplayName == "" && p.Avatar == "" && p.Data == nil && !p.Disabled {
				continue
			}
			if err := lines.Encode(line); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
	}
}

// conversations writes those with pinned messages.
func (a *Admin) conversations(ctx context.Context, lines *json.Encoder) error {
	for after := int64(0); ; {
		page, err := a.store.PinnedConversations(ctx, after, exportPage)
		if err != nil {
			return err
		}
		for _, c := range page {
			after = int64(c.Topic)
			pins, err := a.pins(ctx, c.Topic)
			if err != nil {
				return err
			}
			if err := lines.Encode(exportedConversation{"conversation", c.Users, pins}); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
	}
}

// pins returns a topic's pinned messages, the latest pin first.
func (a *Admin) pins(ctx context.Context, topic chat.Topic) (ids []int64, err error) {
	messages, err := a.store.Pins(ctx, topic)
	for _, m := range messages {
		ids = append(ids, m.ID)
	}
	return ids, err
}
