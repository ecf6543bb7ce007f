package registry

import (
	"slices"
	"testing"
)

func TestRegistry(t *testing.T) {
	r := New[int]("export format")
	const none = `unknown export format "onnx": none is linked into this program`
	if _, err := r.Lookup("onnx"); err == nil || err.Error() != none {
		t.Errorf("empty: %v", err)
	}
	r.Register("onnx", 2)
	r.Register("hdf5", 1)
	if v, err := r.Lookup("onnx"); v != 2 || err != nil {
		t.Errorf("onnx: %d, %v", v, err)
	}
	if got := r.Names(); !slices.Equal(got, []string{"hdf5", "onnx"}) {
		t.Errorf("names %v", got)
	}
	if got := r.All(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("all %v", got)
	}
	for name, want := range map[string]string{
		"onxn": `unknown export format "onxn" (did you mean onnx?), known are: hdf5, onnx`,
		"zip":  `unknown export format "zip", known are: hdf5, onnx`,
	} {
		if _, err := r.Lookup(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestRegisterPanics(t *testing.T) {
	for _, name := range []string{"", "onnx"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("registering %q twice: no panic", name)
				}
			}()
			r := New[int]("export format")
			r.Register("onnx", 1)
			r.Register(name, 2)
		}()
	}
}
