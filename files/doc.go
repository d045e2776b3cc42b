// Package files stores the bytes of uploaded files, and makes them safe to pass on.
//
// [Blobs] is where bytes are stored: a local folder or an S3-compatible store, behind the same interface and tests. An
// [Ingester] receives an upload into a temporary file, detects its type, removes metadata about where and with what a
// picture or video was taken, and makes previews of pictures. The caller then keeps or discards the resulting
// [Incoming]. A [Cleaner] removes bytes without a row.
//
// The package knows nothing about rooms, messages or access; rows and rights belong to its callers. Its only goroutine
// is Cleaner.Run, which its caller starts and ends through its context. Of tandem's packages it imports only panics.
package files
