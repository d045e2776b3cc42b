package chat

// LogState is the state of the log.
type LogState struct {
	Name  string // ids only have a meaning together with it
	Floor int64  // the oldest id that is kept
	Head  int64  // the latest id; 0 if the log is empty
}

// TopicSince asks for a topic's events after an id.
type TopicSince struct {
	Topic Topic
	After int64
}
