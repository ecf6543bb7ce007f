//go:build gpu && !emulate

package device

import (
	"bytes"
	"errors"
	"testing"
)

// Without a GPU this tests that the program starts and says why there is none.
func TestDriver(t *testing.T) {
	infos, err := List()
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		t.Logf("%+v", info)
	}
	d, err := Open(0)
	if err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s := d.SharedMemory(); s < 48<<10 {
		t.Errorf("a block has %d bytes of shared memory", s)
	}
	// More than the ring of pinned memory holds, and no multiple of its slots.
	sent := make([]byte, stagingSlots*stagingBytes+stagingBytes/2+3)
	for i := range sent {
		sent[i] = byte(i * 7 >> 3)
	}
	a, err := d.Alloc(len(sent))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(sent)
	if err := d.Upload(a, sent); err != nil {
		t.Fatal(err)
	}
	clear(sent) // may be changed
	clear(want[100:300])
	got := make([]byte, len(want))
	if err := errors.Join(d.Clear(a+100, 200), d.Download(got, a), d.Sync()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("what came back is not what was sent")
	}
	if err := errors.Join(d.Free(a), d.Free(0)); err != nil {
		t.Error(err)
	}
	if _, err := d.Alloc(1 << 50); !errors.Is(err, ErrMemory) {
		t.Errorf("allocating too much: %v, want ErrMemory", err)
	}
	if err := d.Launch("none_such", Dim{}, Dim{}, 0); err == nil || errors.Is(err, ErrLost) {
		t.Errorf("launching an unknown kernel: %v", err)
	}
	if _, err := Open(len(infos)); !errors.Is(err, ErrNone) {
		t.Errorf("opening a device that is not there: %v, want ErrNone", err)
	}
}
