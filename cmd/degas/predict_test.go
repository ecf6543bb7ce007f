package main

import (
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
