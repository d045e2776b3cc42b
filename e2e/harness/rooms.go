package harness

import ()

type NewRoom struct {
	Name       string `json:"name"`
	Title      string `json:"title,omitempty"`
	Visibility string `json:"visibility,omitempty"`
	Posting    string `json:"posting,omitempty"`
}
