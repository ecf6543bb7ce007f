package main

import (
	"io"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/printable"
)

// mostSkipped is how many files printSkipped names for one reason. Archives and UMUDGA have thousands.
const mostSkipped = 5

// printSkipped prints what was not read, by reason.
func printSkipped(w io.Writer, skipped []datasets.Skipped) {
	byReason, lines := map[string][]string{}, map[string]string{}
	var reasons []string // in order
	for _, s := range skipped {
		if byReason[s.Reason] == nil {
			reasons = append(reasons, s.Reason)
		}
		lines[s.Path] = s.Line
		byReason[s.Reason] = append(byReason[s.Reason], s.Path)
	}
	for _, reason := range reasons {
		paths := byReason[reason]
		for _, path := range paths[:min(len(paths), mostSkipped)] {
			if lines[path] != "" {
				printable.Fprintf(w, "skipped\t%s\t%s: %s\n", path, reason, lines[path])
				continue
			}
			printable.Fprintf(w, "skipped\t%s\t%s\n", path, reason)
		}
		if more := len(paths) - mostSkipped; more > 0 {
			printable.Fprintf(w, "skipped\t%d more\t%s; %s lists them\n", more, reason, datasets.ManifestName)
		}
	}
}
