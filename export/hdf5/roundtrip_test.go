package hdf5

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/h5"
)

func writeTree(t *testing.T, g *h5.Group) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := g.WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", n, buf.Len(), err)
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	root := &h5.Group{}
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
	file := writeTree(t, root)
	if !bytes.Equal(file, writeTree(t, root)) {
		t.Error("two writes of one tree differ")
	}
	tree, err := readTree(file)
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
	want := map[string]dataSet{
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
