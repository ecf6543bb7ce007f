package atomicfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// exchangeNames makes a the name of what b named, and b of what a named, in one step. It fails with
// errors.ErrUnsupported where the kernel, the file system or a sandbox does not let it.
func exchangeNames(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		err = errors.ErrUnsupported
	}
	return fmt.Errorf("exchange %s and %s: %w", a, b, err)
}
