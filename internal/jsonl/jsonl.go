// Package jsonl reads JSON Lines: files with one JSON value a line, which grow at their end.
package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/degas-dns/degas/internal/userfile"
)

// Read reads every value of a file, in the order of the file. An empty file gives none. The error for a missing file
// wraps fs.ErrNotExist. The error for a broken value names the file and the entry, counted from 1.
func Read[T any](path string) ([]T, error) {
	data, err := userfile.Read(path, userfile.Text)
	if err != nil {
		return nil, err
	}
	var out []T
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var entry T
		if err := d.Decode(&entry); err != nil {
			return nil, fmt.Errorf("read %s: entry %d: %w", path, len(out)+1, err)
		}
		out = append(out, entry)
	}
	return out, nil
}
