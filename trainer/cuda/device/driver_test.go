//go:build gpu && !emulate

package device

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
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
	rand.NewChaCha8([32]byte{}).Read(sent)
	a, err := d.Alloc(len(sent))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(sent)
	if err := elsewhere(func() error { return d.Upload(a, sent) }); err != nil {
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

// elsewhere calls f on a thread of its own, on which no context has been made current.
func elsewhere(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		result <- f()
	}()
	return <-result
}

// emulated skips a test that sets what the emulated driver (libcuda/libcuda.cpp) says and does, where there is another
// or none.
func emulated(t *testing.T) {
	t.Helper()
	if infos, err := List(); err != nil || !strings.HasPrefix(infos[0].Name, "CPU emulation") {
		if os.Getenv("DEGAS_EMULATED") != "" {
			t.Fatalf("the emulated driver does not answer: %+v, %v", infos, err)
		}
		t.Skip("takes scripts/gpu-build --emulated")
	}
}

func TestUnusable(t *testing.T) {
	emulated(t)
	for _, test := range []struct{ name, setting, value, want string }{
		{"old driver", "DRIVER", "11040", "its driver knows CUDA 11.4, the kernels need 11.8"},
		{"old device", "COMPUTE", "75", "its compute capability is 7.5, the kernels need 8.0"},
		{"no memory for a context", "MEMORY", "0", "make a context: device: out of memory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("DEGAS_EMULATED_"+test.setting, test.value)
			infos, err := List()
			if err != nil || len(infos) != 1 || !strings.Contains(infos[0].Problem, test.want) {
				t.Errorf("List() = %+v, %v, want a problem with %q", infos, err, test.want)
			}
			if _, err := Open(0); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: %v, want ErrNone with %q", err, test.want)
			}
		})
	}
}

func TestSeveralDevices(t *testing.T) {
	emulated(t)
	t.Setenv("DEGAS_EMULATED_DEVICES", "3")
	infos, err := List()
	if err != nil || len(infos) != 3 || infos[2].Index != 2 || infos[2].Name != "CPU emulation 2" {
		t.Fatalf("List() = %+v, %v", infos, err)
	}
	d, err := Open(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(3); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(),
		"there is no device 3, they are 0 to 2") {
		t.Errorf("Open(3): %v", err)
	}
}

// A kernel's failure comes with a later call, and with every one after it.
func TestLost(t *testing.T) {
	emulated(t)
	t.Setenv("DEGAS_EMULATED_LOST", "2")
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Alloc(256)
	if err != nil {
		t.Fatal(err)
	}
	add := func() error { return d.Launch("add_loss", Dim{}, Dim{}, 0, uint64(a), uint64(a)+8, uint64(a)+16, 4, 0) }
	if err := errors.Join(d.Clear(a, 256), add(), d.Sync(), add()); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 8)
	collect, err := d.Fetch(a, 8) // which does not wait
	if err != nil {
		t.Fatal(err)
	}
	if err := collect(data); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(),
		"the kernel queued last was add_loss") {
		t.Errorf("collect: %v, want ErrLost", err)
	}
	for range 2 {
		if err := d.Download(data, a); !errors.Is(err, ErrLost) ||
			!strings.Contains(err.Error(), "the kernel queued last was add_loss") {
			t.Errorf("download: %v, want ErrLost", err)
		}
	}
	if _, err := d.Alloc(1); !errors.Is(err, ErrLost) {
		t.Errorf("allocate: %v, want ErrLost", err)
	}
	if err := d.Close(); !errors.Is(err, ErrLost) {
		t.Errorf("close: %v, want ErrLost", err)
	}
}

// To collect waits for no more than it has to, and not for what is no longer there.
func TestCollect(t *testing.T) {
	emulated(t)
	t.Setenv("DEGAS_EMULATED_LOST", "1")
	d, at := somewhere(t, 1, 256)
	var collects []func([]byte) error
	for range Fetches + 1 {
		collect, err := d.Fetch(at[0], 8)
		if err != nil {
			t.Fatal(err)
		}
		collects = append(collects, collect)
	}
	data := make([]byte, 8)
	if err := collects[0](data); err == nil || errors.Is(err, ErrLost) ||
		!strings.Contains(err.Error(), "at most 4 may wait") {
		t.Errorf("collect too late: %v", err)
	}
	other, err := Open(0) // the kernel that is lost takes its device with it
	if err != nil {
		t.Fatal(err)
	}
	a, err := other.Alloc(256)
	if err != nil {
		t.Fatal(err)
	}
	collect, err := other.Fetch(a, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Launch("add_loss", Dim{}, Dim{}, 0, uint64(a), uint64(a)+8, uint64(a)+16, 4, 0); err != nil {
		t.Fatal(err)
	}
	if err := collect(data); err != nil {
		t.Errorf("collect what was queued before a kernel that is lost: %v", err)
	}
	if err := other.Close(); !errors.Is(err, ErrLost) {
		t.Errorf("close: %v, want ErrLost", err)
	}
}

// A launch that the device cannot do is refused, and the device is none the worse for it.
func TestRefusedLaunch(t *testing.T) {
	d, err := Open(0)
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, test := range []struct {
		name   string
		grid   Dim
		block  Dim
		shared int
	}{
		{"threads", Dim{}, Dim{X: 1025}, 0},
		{"blocks", Dim{Y: 65536}, Dim{X: 32}, 0},
		{"shared memory", Dim{}, Dim{X: 32}, d.SharedMemory() + 1},
	} {
		if err := d.Launch("add_loss", test.grid, test.block, test.shared, 0, 0, 0, 0, 0); err == nil ||
			errors.Is(err, ErrLost) {
			t.Errorf("too many %s: %v", test.name, err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
}
