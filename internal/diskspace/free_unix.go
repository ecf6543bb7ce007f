//go:build linux || darwin

package diskspace

import "golang.org/x/sys/unix"

func free(path string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(min(s.Bavail, 1<<62/uint64(s.Bsize))) * int64(s.Bsize), true
}
