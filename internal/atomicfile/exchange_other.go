//go:build !linux && !darwin

package atomicfile

import "errors"

func exchangeNames(_, _ string) error { return errors.ErrUnsupported }
