package h5

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/degas-dns/degas/internal/alloctest"
)

// written is a file of this package's own writer.
func written(t testing.TB) []byte {
	t.Helper()
	root := &Group{}
	root.SetString("model_config", `{"a": 1}`)
	g, err := root.Group("model_weights/dense/dense")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Float32("kernel:0", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	root.SetStrings("layer_names", []string{"dense", "a"})
	root.SetStrings("none", nil)
	var b bytes.Buffer
	if _, err := root.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// h5py reads a file that h5py 3.16 wrote, see testdata/make.py.
func h5py(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name+".gz.b64"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadBack(t *testing.T) {
	for name, data := range map[string][]byte{
		"own": written(t), "earliest": h5py(t, "earliest"),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Read(data)
			if err != nil {
				t.Fatal(err)
			}
			root, err := f.Root()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := root.Strings("model_config"); err != nil || !slices.Equal(got, []string{`{"a": 1}`}) {
				t.Errorf("model_config %q, %v", got, err)
			}
			if got, err := root.Strings("layer_names"); err != nil || !slices.Equal(got, []string{"dense", "a"}) {
				t.Errorf("layer_names %q, %v", got, err)
			}
			if got, err := root.Strings("none"); err != nil || len(got) != 0 {
				t.Errorf("none %q, %v", got, err)
			}
			if _, err := root.Strings("absent"); !errors.Is(err, ErrMissing) {
				t.Errorf("absent: %v", err)
			}
			d, err := root.Child("model_weights/dense/dense/kernel:0")
			if err != nil {
				t.Fatal(err)
			}
			shape, values, err := d.Float32()
			if err != nil || !slices.Equal(shape, []int{2, 3}) || !slices.Equal(values, []float32{1, 2, 3, 4, 5, 6}) {
				t.Errorf("%v %v %v", shape, values, err)
			}
			if _, err := root.Child("model_weights/dense/bias:0"); !errors.Is(err, ErrMissing) {
				t.Errorf("missing child: %v", err)
			}
			if _, _, err := root.Float32(); err == nil {
				t.Error("the root group is no data set")
			}
		})
	}
}

// Structures of newer versions of the HDF5 library, which Keras does not write, are refused with a hint.
func TestNewerLayouts(t *testing.T) {
	for _, name := range []string{"latest", "v110"} {
		if _, err := Read(h5py(t, name)); err == nil || !strings.Contains(err.Error(), "Try: h5repack") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Numbers of other widths, byte orders and layouts.
func TestReadNumbers(t *testing.T) {
	f, err := Read(h5py(t, "numbers"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f2", "f4be", "f8", "compact"} {
		d, err := root.Child(name)
		if err != nil {
			t.Fatal(err)
		}
		if shape, values, err := d.Float32(); err != nil || !slices.Equal(shape, []int{4}) ||
			!slices.Equal(values, []float32{1.5, -2, 0, 65504}) {
			t.Errorf("%s: %v %v %v", name, shape, values, err)
		}
	}
	for name, want := range map[string]string{"ints": "not floating-point", "chunked": "h5repack"} {
		d, err := root.Child(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Float32(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many, err := root.Child("many")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"g000", "g299"} { // more than a symbol node holds
		if _, err := many.Child(name); err != nil {
			t.Error(err)
		}
	}
}

// A thousand entries of a B-tree that are all the same thousand symbols make a million of 57 kB: look-ups share a
// bound.
func TestLookUpsAreBounded(t *testing.T) {
	const many = 1000
	heap := le.AppendUint64(append([]byte("HEAP"), 0, 0, 0, 0), 8)
	heap = le.AppendUint64(le.AppendUint64(heap, 0), 32) // its names: those of the next eight bytes
	data := append(heap, "other\x00\x00\x00"...)
	symbols := uint64(len(data))
	data = append(append(data, "SNOD"...), 1, 0, many&255, many>>8)
	data = append(data, make([]byte, many*symbolEntry)...)
	tree := uint64(len(data))
	data = append(append(data, "TREE"...), 0, 0, many&255, many>>8)
	data = append(data, make([]byte, 16)...)
	for range many {
		data = le.AppendUint64(le.AppendUint64(data, 0), symbols)
	}
	f := &File{data: data, objects: maxObjects, steps: maxSteps}
	o := &Object{f: f, messages: []message{{messageSymbolTable, le.AppendUint64(le.AppendUint64(nil, tree), 0)}}}
	if _, err := o.Child("name"); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	for range 3 {
		_, _ = o.Child("name")
	}
	if _, err := o.Child("name"); err == nil || !strings.Contains(err.Error(), "more than 4194304 steps") {
		t.Error(err)
	}
}

func TestHalf(t *testing.T) {
	for h, want := range map[uint16]float32{0: 0, 1: 1.0 / (1 << 24), 0x3c00: 1, 0xc000: -2, 0x7bff: 65504,
		0x0400: 1.0 / (1 << 14), 0x7c00: float32(math.Inf(1))} {
		if got := half(h); got != want {
			t.Errorf("%#x: %g, want %g", h, got, want)
		}
	}
}

// FuzzRead walks everything that a file's names lead to. Nothing may panic or take more than 1 MiB and eight times the
// file's size.
func FuzzRead(f *testing.F) {
	f.Add(written(f))
	for _, name := range []string{"earliest", "latest", "v110", "numbers"} {
		f.Add(h5py(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if used := alloctest.Bytes(func() { walk(data) }); used > uint64(1<<20+8*len(data)) {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
	})
}

func walk(data []byte) {
	file, err := Read(data)
	if err != nil {
		return
	}
	root, err := file.Root()
	if err != nil {
		return
	}
	root.Strings("model_config")
	root.Strings("layer_names")
	for _, path := range []string{"model_weights/dense/dense/kernel:0", "f2", "f4be", "f8", "compact", "chunked",
		"many/g299"} {
		if o, err := root.Child(path); err == nil {
			o.Float32()
			o.Strings("weight_names")
		}
	}
}
