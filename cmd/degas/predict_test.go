package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// Names arrive from a pipe as a Windows shell writes them: UTF-16 or UTF-8, with a byte-order mark.
func TestReadLines(t *testing.T) {
	want := []string{"google.com", "m\u00fcller.de"}
	for encoding, in := range map[string]string{
		"UTF-8":              "google.com\n\nm\u00fcller.de",
		"UTF-8 with mark":    "\xef\xbb\xbfgoogle.com\r\nm\u00fcller.de\r\n",
		"UTF-16LE with mark": "\xff\xfe" + strings.Join(strings.Split("google.com\r\nm\xfcller.de\r\n", ""), "\x00") + "\x00",
	} {
		lines, failed := readLines(t.Context(), strings.NewReader(in))
		var got []string
		for line := range lines {
			got = append(got, line)
		}
		if err := <-failed; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", encoding, got, err)
		}
	}
}

// A first argument that is a URL is scored, one that looks like a path is not.
func TestFirstArgumentURL(t *testing.T) {
	for arg, want := range map[string]int{"https://example.com/a": 0, "runs/mistyped": 1} {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"degas", "predict", arg}, nil, &out, &out); code != want {
			t.Errorf("%s: status %d, %s", arg, code, out.String())
		}
	}
}

// The README's first example shows what the built-in model answers: a new model needs a new example.
func TestExampleOfReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "degas predict google.com xjpakmdcfuqe.biz\n```\n\n```\n")
	var out bytes.Buffer
	args := []string{"degas", "predict", "google.com", "xjpakmdcfuqe.biz"}
	if code := run(t.Context(), args, nil, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	for line := range strings.Lines(out.String()) {
		shownLine, rest, _ := strings.Cut(shown, "\n")
		shown = rest
		var names, labels [2]string
		var scores [2]float64
		for i, l := range []string{line, shownLine} {
			if _, err := fmt.Sscan(l, &names[i], &scores[i], &labels[i]); err != nil {
				t.Fatalf("%q: %v", l, err)
			}
		}
		if names[0] != names[1] || labels[0] != labels[1] || math.Abs(scores[0]-scores[1]) > 2e-6 { // kernels differ
			t.Errorf("README.md says %q, degas %q", shownLine, line)
		}
	}
}
