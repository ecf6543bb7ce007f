//go:build emulate

package device

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func opened(t *testing.T) Device {
	t.Helper()
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func allocated(t *testing.T, d Device, bytes int) Address {
	t.Helper()
	a, err := d.Alloc(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// uploaded puts numbers, floats or int32s, into memory of their size.
func uploaded[T float32 | int32](t *testing.T, d Device, values []T) Address {
	t.Helper()
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		t.Fatal(err)
	}
	a := allocated(t, d, len(data))
	if err := d.Upload(a, data); err != nil {
		t.Fatal(err)
	}
	return a
}

func downloaded[T float32 | int32](t *testing.T, d Device, a Address, n int) []T {
	t.Helper()
	data, values := make([]byte, n*4), make([]T, n)
	if err := d.Download(data, a); err != nil {
		t.Fatal(err)
	}
	if _, err := binary.Decode(data, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return values
}

func launch(t *testing.T, d Device, kernel string, grid, block Dim, shared int, args ...uint64) {
	t.Helper()
	if err := d.Launch(kernel, grid, block, shared, args...); err != nil {
		t.Fatal(err)
	}
}

// wantError checks that the error says all the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Fatalf("got error %v, want one with %q", err, w)
		}
	}
}

func closed(t *testing.T, d Device) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestArguments(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := allocated(t, d, 40*4)
	launch(t, d, "selftest_arguments", Dim{X: 4}, Dim{X: 5}, 0, uint64(out)+4, 2, uint64(math.Float32bits(0.5)), 7)
	for i, got := range downloaded[float32](t, d, out, 40) {
		switch {
		case i%2 == 1 && got != float32(i/2)*0.5+7:
			t.Fatalf("out[%d] = %v", i, got)
		case i%2 == 0 && !math.IsNaN(float64(got)):
			t.Fatalf("out[%d] = %v, fresh memory is NaN", i, got)
		}
	}
	wantError(t, d.Launch("selftest_arguments", Dim{}, Dim{}, 0, uint64(out)), "selftest_arguments", "4 arguments, 1")
	wantError(t, d.Launch("none_such", Dim{}, Dim{}, 0), "none_such", "no such kernel")
	wantError(t, d.Launch("selftest_arguments", Dim{}, Dim{X: 1025}, 0), "1024")
	wantError(t, d.Launch("selftest_arguments", Dim{}, Dim{}, 228<<10), "shared memory")
}

func TestShapes(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := allocated(t, d, 24*24*4)
	if err := d.Clear(out, 24*24*4); err != nil {
		t.Fatal(err)
	}
	launch(t, d, "selftest_shapes", Dim{2, 3, 4}, Dim{4, 3, 2}, 0, uint64(out))
	for i, got := range downloaded[int32](t, d, out, 24*24) {
		if want := int32(i/24*1000 + i%24); got != want {
			t.Fatalf("out[%d] = %d, want %d", i, got, want)
		}
	}
}

func TestBarriersAndSharedMemory(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	for _, threads := range []int{1, 31, 200, 256} {
		const blocks, rounds = 3, 4
		values := make([]int32, blocks*threads)
		for i := range values {
			values[i] = int32(i)
		}
		data := uploaded(t, d, values)
		launch(t, d, "selftest_reverse", Dim{X: blocks}, Dim{X: threads}, threads*4, uint64(data), rounds)
		for i, got := range downloaded[int32](t, d, data, len(values)) {
			if want := int32(i + rounds*(rounds-1)/2); got != want {
				t.Fatalf("%d threads: data[%d] = %d, want %d", threads, i, got, want)
			}
		}
	}
}

func TestWarp(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	const threads = 64
	out := allocated(t, d, threads*8*4)
	launch(t, d, "selftest_warp", Dim{}, Dim{X: threads}, 0, uint64(out))
	got := downloaded[float32](t, d, out, threads*8)
	for i := range threads {
		lane, sum := i%32, float32(31*16+i/32*32*32)
		up, half := lane, lane^1
		if lane%16 >= 4 {
			up -= 4
		}
		if lane >= 16 {
			half = lane ^ 2
		}
		want := [8]float32{sum, sum, float32(lane/8*8 + (lane+1)%8), 11, float32(up), float32(half), 1, 0}
		if [8]float32(got[i*8:]) != want {
			t.Fatalf("thread %d: got %v, want %v", i, got[i*8:i*8+8], want)
		}
	}
}

func TestAtomic(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := uploaded(t, d, []float32{1, 0})
	launch(t, d, "selftest_atomic", Dim{X: 10}, Dim{X: 50}, 0, uint64(out), uint64(out)+4)
	if got := downloaded[float32](t, d, out, 1)[0]; got != 251 {
		t.Errorf("sum is %v, want 251", got)
	}
	if got := downloaded[int32](t, d, out+4, 1)[0]; got != 1000 {
		t.Errorf("count is %d, want 1000", got)
	}
}

// Small whole numbers are exact in bf16 and tf32, so the products are those of plain loops.
func TestMatrixProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	whole := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(rng.IntN(17) - 8)
		}
		return values
	}
	for _, test := range []struct {
		name  string
		depth int
		bf16  uint64
	}{{"bf16", 16, 1}, {"tf32", 8, 0}} {
		t.Run(test.name, func(t *testing.T) {
			d := opened(t)
			defer closed(t, d)
			a, b := whole(16*test.depth), whole(test.depth*8)
			out := allocated(t, d, 16*8*4)
			launch(t, d, "selftest_mma", Dim{}, Dim{X: 32}, 0, uint64(uploaded(t, d, a)), uint64(uploaded(t, d, b)),
				uint64(out), test.bf16)
			for i, got := range downloaded[float32](t, d, out, 16*8) {
				want := float32(1)
				for k := range test.depth {
					want += a[i/8*test.depth+k] * b[k*8+i%8]
				}
				if got != want {
					t.Fatalf("c[%d][%d] = %v, want %v", i/8, i%8, got, want)
				}
			}
			wantError(t, d.Launch("selftest_mma", Dim{}, Dim{X: 16}, 0, uint64(out), uint64(out), uint64(out), test.bf16),
				"whole warp")
		})
	}
}

func TestPairs(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	const tiny = 1.0 / (1 << 24) // the smallest of f16
	inf := float32(math.Inf(1))
	cases := []struct{ in, pair [4]float32 }{ // pair is in, rounded
		{[4]float32{1, -2, 3, -4}, [4]float32{1, -2, 3, -4}},
		{[4]float32{1 + 1./2048, 1 + 3./2048, 0.1, 65519}, [4]float32{1, 1 + 1./512, 0.0999755859375, 65504}},
		{[4]float32{65520, -1e9, 0, 0}, [4]float32{inf, -inf, 0, 0}},
		{[4]float32{tiny / 2, 1.5 * tiny, -tiny, 1023.4 * tiny}, [4]float32{0, 2 * tiny, -tiny, 1023 * tiny}},
	}
	var in []float32
	for _, c := range cases {
		in = append(in, c.in[:]...)
	}
	out := allocated(t, d, len(cases)*8*4)
	launch(t, d, "selftest_pairs", Dim{}, Dim{X: len(cases)}, 0, uint64(uploaded(t, d, in)), uint64(out))
	got := downloaded[float32](t, d, out, len(cases)*8)
	for i, c := range cases {
		p := c.pair
		want := [8]float32{p[0], p[1], p[0] + p[2], p[1] + p[3], max(p[0], p[2]), max(p[1], p[3]), -1, -1}
		for h := range 2 {
			if p[h] > p[2+h] {
				want[6+h] = 7
			}
		}
		if i == 1 { // the sums are rounded too
			want[2], want[3] = 1.099609375, 65504
		}
		if [8]float32(got[i*8:]) != want {
			t.Errorf("%v: got %v, want %v", c.in, got[i*8:i*8+8], want)
		}
	}
}

func TestMatrices(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	half := func(matrix, row, column int) int32 { return int32(matrix*64 + row*8 + column + 1) }
	in := make([]int32, 32*4)
	for i := range in {
		in[i] = half(i/32, i/4%8, i%4*2) | half(i/32, i/4%8, i%4*2+1)<<16
	}
	const inside = 27
	out := allocated(t, d, 160*4)
	for trans := range 2 {
		launch(t, d, "selftest_matrices", Dim{}, Dim{X: 32}, 512, uint64(uploaded(t, d, in)), uint64(out), inside,
			uint64(trans))
		got := downloaded[int32](t, d, out, 160)
		for lane := range 32 {
			for i := range 4 {
				var pair int32
				for e := range 2 {
					row, column := lane/4, lane%4*2+e
					if trans == 1 {
						row, column = column, row
					}
					if i*8+row < inside {
						pair |= half(i, row, column) << (16 * e)
					}
				}
				if got[lane*4+i] != pair {
					t.Errorf("trans %d, lane %d: r[%d] is %#x, want %#x", trans, lane, i, got[lane*4+i], pair)
				}
			}
			if got[128+lane] != -1 {
				t.Errorf("lane %d reads %#x before its copy is waited for, want no number", lane, got[128+lane])
			}
		}
	}
}

// What CUDA leaves undefined is an error here.
func TestMistakes(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := uint64(allocated(t, d, 4096))
	for _, test := range []struct {
		name, kernel string
		threads      int
		shared       int
		args         []uint64
		want         []string
	}{
		{"a thread leaves before a barrier", "selftest_missed", 64, 0, []uint64{0}, []string{"thread (5,0,0)", "63 of 64"}},
		{"a thread waits at another barrier", "selftest_missed", 64, 0, []uint64{1},
			[]string{"thread (5,0,0)", "selftest.cu"}},
		{"a lane leaves before an exchange", "selftest_left", 64, 0, []uint64{out, 1},
			[]string{"__shfl_xor_sync", "lane 3 has left"}},
		{"a lane waits elsewhere", "selftest_left", 64, 0, []uint64{out, 0}, []string{"__shfl_xor_sync", "do not come"}},
		{"a lane outside the mask is read", "selftest_absent", 32, 0, []uint64{out}, []string{"lane 15 reads lane 16"}},
		{"past dynamic shared memory", "selftest_shared_overrun", 1, 64, []uint64{16}, []string{"byte 64 of its 64"}},
		{"misaligned", "selftest_misaligned", 1, 0, []uint64{out, out}, []string{"not aligned", "selftest.cu:"}},
		{"past an array", "selftest_bounds", 1, 0, []uint64{out, 4}, []string{"index 4", "selftest.cu:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := d.Launch(test.kernel, Dim{}, Dim{X: test.threads}, test.shared, test.args...)
			wantError(t, err, append(test.want, test.kernel)...)
			// the emulator is as good as new
			launch(t, d, "selftest_reverse", Dim{X: 1}, Dim{X: 64}, 256, out, 2)
		})
	}
}

func TestUnwrittenMemoryIsNaN(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := allocated(t, d, 4*4)
	launch(t, d, "selftest_poison", Dim{X: 2}, Dim{}, 64, uint64(out))
	for i, got := range downloaded[float32](t, d, out, 4) {
		if !math.IsNaN(float64(got)) {
			t.Errorf("out[%d] = %v, want NaN", i, got)
		}
	}
}

// A barrier left out must show whether the reader comes before or after the writer.
func TestRacesShow(t *testing.T) {
	d := opened(t)
	defer closed(t, d)
	out := allocated(t, d, 64*4)
	for _, by := range []int64{1, -1} {
		found := false
		for _, blocks := range []int{1, 2} { // the last block's numbers stay, and blocks take turns in direction
			launch(t, d, "selftest_race", Dim{X: blocks}, Dim{X: 64}, 64*4, uint64(out), uint64(uint32(by)))
			for _, v := range downloaded[float32](t, d, out, 64)[2:62] {
				found = found || math.IsNaN(float64(v))
			}
		}
		if !found {
			t.Errorf("by %d: no NaN", by)
		}
	}
}

func TestMemory(t *testing.T) {
	d := opened(t)
	a, b := allocated(t, d, 100), allocated(t, d, 0)
	if a%256 != 0 || b%256 != 0 {
		t.Errorf("addresses %#x and %#x are not aligned to 256 bytes", a, b)
	}
	_, err := d.Alloc(8 << 30)
	if !errors.Is(err, ErrMemory) {
		t.Errorf("got %v, want ErrMemory", err)
	}
	wantError(t, err, "8589934592", "4294967196 are free")
	wantError(t, d.Upload(a, make([]byte, 101)), "upload", "101 bytes from byte 0 of allocation 1 of 100 bytes")
	wantError(t, d.Download(make([]byte, 1), a+100), "download")
	wantError(t, d.Clear(a-1, 1), "clear")
	wantError(t, d.Free(a+1), "not allocated")
	if err := errors.Join(d.Upload(a+90, make([]byte, 10)), d.Free(b), d.Free(0)); err != nil {
		t.Error(err)
	}
	wantError(t, d.Free(b), "freed before")

	// Thread 24 writes the first float past the allocation.
	err = d.Launch("selftest_arguments", Dim{}, Dim{X: 26}, 0, uint64(a), 1, uint64(math.Float32bits(1)), 0)
	wantError(t, err, "selftest_arguments", "allocation 1 of 100 bytes", "1 bytes past its end")
	wantError(t, d.Free(a), "past its end")
	c := allocated(t, d, 4)
	wantError(t, d.Launch("selftest_arguments", Dim{}, Dim{}, 0, uint64(c)-4, 1, 0, 0), "allocation 3", "before its start")
	wantError(t, d.Close(), "allocation 3 of 4 bytes")
}

func TestOpen(t *testing.T) {
	infos, err := List()
	if err != nil || len(infos) != 1 || infos[0].Name != "CPU emulation" || infos[0].Problem != "" {
		t.Errorf("List() = %v, %v", infos, err)
	}
	if _, err := Open(1); !errors.Is(err, ErrNone) {
		t.Errorf("Open(1): %v, want ErrNone", err)
	}
}
