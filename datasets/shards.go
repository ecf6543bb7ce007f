package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// MaxShards is the most files that a split may have.
const MaxShards = 4096

// SplitFile is one file of a split that is in shards.
type SplitFile struct {
	File   string `json:"file"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// ShardFile is the name of the split's shard k, from 0, of n: train-00000-of-00008.arrow.
func (s SplitID) ShardFile(k, n int) string { return shardFile(s.String(), k, n) }

func shardFile(split string, k, n int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.arrow", split, k, n)
}

// Files lists the split's files in the order of their rows: its shards, or its only file.
func (s *SplitReport) Files() []SplitFile {
	if len(s.Shards) > 0 {
		return s.Shards
	}
	return []SplitFile{{s.File, s.Rows, s.Bytes, s.SHA256}}
}

// JoinShards is the report of a split whose shards, in order, have the reports of their SplitWriters. There must be at
// least one. A runner whose workers write the shards sends the reports as JSON to whoever calls JoinShards.
func JoinShards(shards []SplitReport) SplitReport {
	out := SplitReport{Name: shards[0].Name, ByClass: map[string]int64{}, ByFamily: map[string]int64{},
		BySource: map[string]int64{}}
	for _, s := range shards {
		out.Shards = append(out.Shards, s.Files()...)
		out.Rows += s.Rows
		out.Bytes += s.Bytes
		addTo(out.ByClass, s.ByClass)
		addTo(out.ByFamily, s.ByFamily)
		addTo(out.BySource, s.BySource)
	}
	out.SHA256 = shardsHash(out.Shards)
	return out
}

func addTo(sum, counts map[string]int64) {
	for word, n := range counts {
		sum[word] += n
	}
}

// shardsHash is the SHA-256 of a split in shards: that of its shards' SHA-256 as text, joined by newlines.
func shardsHash(shards []SplitFile) string {
	var sums []string
	for _, f := range shards {
		sums = append(sums, f.SHA256)
	}
	sum := sha256.Sum256([]byte(strings.Join(sums, "\n")))
	return hex.EncodeToString(sum[:])
}

// checkShards reports a list of shards that does not fit the split. Names are not free: so no shard is missing, comes
// twice, is out of order or outside the folder.
func (s *SplitReport) checkShards() error {
	n := len(s.Shards)
	if n == 0 {
		return nil
	}
	if n > MaxShards {
		return fmt.Errorf("%d shards, at most %d can be", n, MaxShards)
	}
	if s.File != "" {
		return fmt.Errorf("it has the file %q and %d shards", s.File, n)
	}
	rows, bytes := s.Rows, s.Bytes
	for k, f := range s.Shards {
		if want := shardFile(s.Name, k, n); f.File != want {
			return fmt.Errorf("shard %d of %d is %q, not %q", k, n, f.File, want)
		}
		if err := checkRows(f.Rows, f.Bytes); err != nil {
			return fmt.Errorf("%s: %w", f.File, err)
		}
		rows, bytes = rows-f.Rows, bytes-f.Bytes
		if rows < 0 || bytes < 0 {
			break
		}
	}
	if rows != 0 || bytes != 0 {
		return fmt.Errorf("its shards do not add up to %d rows in %d bytes", s.Rows, s.Bytes)
	}
	if sum := shardsHash(s.Shards); sum != s.SHA256 {
		return fmt.Errorf("the SHA-256 of its shards' list is %s, not %q", sum, s.SHA256)
	}
	return nil
}

var shardPattern = regexp.MustCompile(`^(?:` + strings.Join(splitNames[:], "|") + `)-[0-9]{5}-of-[0-9]{5}\.arrow$`)

// isShard reports whether name is what a shard may be called.
func isShard(name string) bool { return shardPattern.MatchString(name) }
