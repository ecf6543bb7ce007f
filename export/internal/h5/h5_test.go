package h5

import (
	"bytes"
	"strings"
	"testing"
)

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
	g := &Group{}
	g.SetStrings("names", fits)
	if _, err := g.WriteTo(&bytes.Buffer{}); err != nil {
		t.Errorf("an attribute just below the limit: %v", err)
	}
	g.SetStrings("names", append(fits, fits...))
	if _, err := g.WriteTo(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "at most 65528") {
		t.Errorf("an attribute over the limit: %v", err)
	}
}
