package atomicfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// exchangeNames makes a the name of what b named, and b of what a named, in one step. It fails with
// errors.ErrUnsupported where the file system cannot do that.
func exchangeNames(a, b string) error {
	err := unix.RenamexNp(a, b, unix.RENAME_SWAP)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EINVAL) {
		err = errors.ErrUnsupported
	}
	return fmt.Errorf("exchange %s and %s: %w", a, b, err)
}
