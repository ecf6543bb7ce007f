//go:build emulate || gpu

package device

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// somewhere opens a device and takes places of memory there, all zeros.
func somewhere(t *testing.T, places, size int) (Device, []Address) {
	t.Helper()
	d, err := Open(0)
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	at := make([]Address, places)
	for i := range at {
		if at[i], err = d.Alloc(size); err != nil {
			t.Fatal(err)
		}
		if err := d.Clear(at[i], size); err != nil {
			t.Fatal(err)
		}
	}
	return d, at
}

// What is fetched is what was there when the copy's turn came, whatever is queued later.
func TestFetch(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 4 << 20, 4<<20 + 1} { // the last is more than a slot holds
		d, at := somewhere(t, 1, max(size, 1))
		var collects []func([]byte) error
		for i := range 2 * Fetches { // half of them never collected
			if err := d.Upload(at[0], bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Fatal(err)
			}
			collect, err := d.Fetch(at[0], size)
			if err != nil {
				t.Fatal(err)
			}
			collects = append(collects, collect)
		}
		if err := d.Clear(at[0], size); err != nil {
			t.Fatal(err)
		}
		for i := Fetches; i < len(collects); i++ {
			got := make([]byte, size)
			if err := collects[i](got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Errorf("%d bytes: copy %d is not what was there", size, i)
			}
		}
	}
}

// Copies to two places in turn must neither come before a kernel has read what was there nor after one that reads them.
func TestAhead(t *testing.T) {
	for _, eager := range []string{"0", "1"} {
		t.Run("eager "+eager, func(t *testing.T) {
			t.Setenv("DEGAS_EMULATED_EAGER", eager)
			const floats, rounds = 64, 7
			d, at := somewhere(t, 2+rounds, 4*floats)
			data := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, 4*floats) }
			// One of another kind before, whose reader comes after it.
			if err := d.Upload(at[0], data(100)); err != nil {
				t.Fatal(err)
			}
			read := func(into, from Address) {
				if err := d.Launch("copy_columns", Dim{}, Dim{X: 64}, 0, uint64(into), floats, uint64(from), floats, 1, floats,
					0); err != nil {
					t.Fatal(err)
				}
			}
			read(at[2+rounds-1], at[0])
			first, err := d.Fetch(at[2+rounds-1], 4*floats)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rounds {
				if err := d.Ahead(at[i%2], data(i)); err != nil {
					t.Fatal(err)
				}
				read(at[2+i], at[i%2])
			}
			for i := range rounds {
				got := make([]byte, 4*floats)
				if err := d.Download(got, at[2+i]); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, data(i)) {
					t.Errorf("round %d has read %v, want %v", i, got[0], data(i)[0])
				}
			}
			got := make([]byte, 4*floats)
			if err := first(got); err != nil || !bytes.Equal(got, data(100)) {
				t.Error(fmt.Errorf("before the first: %v, %w", got[0], err))
			}
		})
	}
}
