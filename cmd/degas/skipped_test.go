package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

func TestPrintSkipped(t *testing.T) {
	skipped := []datasets.Skipped{{Path: "LICENSE", Reason: "documentation, by its name"}, {Path: "x", Reason: "empty"}}
	for i := range 7 {
		skipped = append(skipped, datasets.Skipped{Path: fmt.Sprintf("f%d\x1b", i), Reason: "not recognised"})
	}
	var b strings.Builder
	printSkipped(&b, append(skipped, datasets.Skipped{Path: "y", Reason: "empty"}))
	want := "skipped\tLICENSE\tdocumentation, by its name\nskipped\tx\tempty\nskipped\ty\tempty\n"
	for i := range 5 {
		want += fmt.Sprintf("skipped\tf%d\\x1b\tnot recognised\n", i)
	}
	want += "skipped\t2 more\tnot recognised; dataset.json lists them\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}
