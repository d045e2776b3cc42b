package chat

// LogState is where the log stands.
type LogState struct {
	Name  string // ids mean something only together with it
	Floor int64  // the oldest id that is kept
	Head  int64  // the latest id; 0 where nothing has happened
}

// TopicSince asks for a topic's events behind an id.
type TopicSince struct {
	Topic Topic
	After int64
}
