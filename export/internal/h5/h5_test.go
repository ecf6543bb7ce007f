package h5

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/h5/h5test"
)

func write(t *testing.T, g *Group) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := g.WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", n, buf.Len(), err)
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	root := &Group{}
	long := strings.Repeat("j", 1<<20)
	root.SetString("model_config", long)
	root.SetString("empty", "")
	deep, err := root.Group("model_weights/dense/dense")
	if err != nil {
		t.Fatal(err)
	}
	if err := deep.Float32("kernel:0", []int{2, 3}, []float32{1, 2, 3, 4, 5, -6.5}); err != nil {
		t.Fatal(err)
	}
	if err := deep.Float32("scalar", nil, []float32{7}); err != nil {
		t.Fatal(err)
	}
	if err := deep.Float32("none", []int{0, 4}, nil); err != nil {
		t.Fatal(err)
	}
	deep.SetStrings("names", []string{"a", "bcd", ""})
	deep.SetStrings("no_names", nil)
	for i := range 3000 {
		if _, err := root.Group(fmt.Sprintf("many/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		deep.SetString(fmt.Sprintf("attribute %d", i), fmt.Sprint(i))
	}
	file := write(t, root)
	if !bytes.Equal(file, write(t, root)) {
		t.Error("two writes of one tree differ")
	}
	tree, err := h5test.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Strings["/@model_config"]; got != long {
		t.Errorf("long attribute came back with %d bytes", len(got))
	}
	if got, ok := tree.Strings["/@empty"]; got != "" || !ok {
		t.Errorf("empty attribute: %q, %v", got, ok)
	}
	at := "/model_weights/dense/dense/"
	want := map[string]h5test.Dataset{
		at + "kernel:0": {Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, -6.5}},
		at + "scalar":   {Shape: []int{}, Data: []float32{7}},
		at + "none":     {Shape: []int{0, 4}},
	}
	if !reflect.DeepEqual(tree.Datasets, want) {
		t.Errorf("data sets %v", tree.Datasets)
	}
	if got := tree.Arrays[at+"@names"]; !reflect.DeepEqual(got, []string{"a", "bcd", ""}) {
		t.Errorf("array attribute %q", got)
	}
	if got, ok := tree.Arrays[at+"@no_names"]; len(got) != 0 || !ok {
		t.Errorf("empty array attribute %q, %v", got, ok)
	}
	if len(tree.Groups) != 1+3+1+3000 || tree.Strings[at+"@attribute 39"] != "39" {
		t.Errorf("%d groups, attribute 39 is %q", len(tree.Groups), tree.Strings[at+"@attribute 39"])
	}
}

func TestRefused(t *testing.T) {
	g := &Group{}
	for _, tc := range []struct {
		name string
		do   func() error
		want string
	}{
		{"shape", func() error { return g.Float32("x", []int{2, 2}, make([]float32, 3)) }, "does not fit"},
		{"overflow", func() error { return g.Float32("x", []int{1 << 62, 1 << 62}, nil) }, "does not fit"},
		{"name", func() error { return g.Float32("a/b", nil, []float32{1}) }, "no name"},
		{"empty name", func() error { _, err := g.Group("a//b"); return err }, "no name"},
		{"good", func() error { return g.Float32("x", nil, []float32{1}) }, ""},
		{"twice", func() error { return g.Float32("x", nil, []float32{1}) }, "exists"},
		{"through a data set", func() error { _, err := g.Group("x/y"); return err }, "data set"},
	} {
		err := tc.do()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestLongArray(t *testing.T) {
	fits := make([]string, 654)
	fits[0] = strings.Repeat("n", 100)
	if !Fits("names", fits) || Fits("names", make([]string, 66000)) {
		t.Error("Fits is wrong about 64 KiB")
	}
	g := &Group{}
	g.SetStrings("names", append(fits, fits...))
	if _, err := g.WriteTo(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "at most 65528") {
		t.Errorf("an attribute over the limit: %v", err)
	}
}
