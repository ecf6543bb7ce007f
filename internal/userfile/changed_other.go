//go:build !linux && !darwin && !freebsd

package userfile

import "io/fs"

// changed gives nothing: these systems are told apart by size and time of modification alone.
func changed(fs.FileInfo) (nanoseconds int64, inode uint64) { return 0, 0 }
