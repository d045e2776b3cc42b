// Package store is the SQL of tandem: the log and its group commit, accounts, rooms and messages.
//
// Open starts one goroutine, the log writer, through which every write goes; Close ends it after the last
// write that waits is answered. Reads go beside it, on connections of their own. Another follows the log for the
// index that searches use, in a file of its own.
package store
