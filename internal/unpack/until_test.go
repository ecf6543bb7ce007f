package unpack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"
)

// Until gives what a reader has, and its error.
func TestUntil(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	broken := errors.New("broken")
	in := io.MultiReader(iotest.HalfReader(bytes.NewReader(data)), iotest.ErrReader(broken))
	if got, err := io.ReadAll(Until(t.Context(), in)); !bytes.Equal(got, data) || !errors.Is(err, broken) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := iotest.TestReader(Until(t.Context(), bytes.NewReader(data[:1000])), data[:1000]); err != nil {
		t.Error(err)
	}
}

// A read of a pipe that nobody writes to ends with the context.
func TestUntilDoesNotWait(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	ended := make(chan error, 1)
	go func() {
		_, err := Until(ctx, in).Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
}
