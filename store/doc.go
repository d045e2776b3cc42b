// Package store is the SQL of tandem: the log and its group commit, accounts, rooms and messages.
//
// Open starts one goroutine, the log writer, through which every write goes; Close ends it after the last queued write
// is answered. Reads run beside it, on their own connections. Another goroutine follows the log for the search index,
// which has its own file.
package store
