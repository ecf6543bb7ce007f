package beam

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/atomicfile"
)

// Names of the counts in summary.json; refused rows also have one by reason, "refused: too few columns".
const (
	countRowsIn        = "rows_in"
	countRefused       = "refused"
	countDuplicates    = "duplicates"
	countOverridden    = "overridden"
	countFamilyMerges  = "family_merges"
	countConflictNames = "conflict_names"
	countConflictRows  = "conflict_rows"
	countKept          = "kept"
)

// readFn reads one file and gives each row to its partition.
type readFn struct {
	Plan       prepare.Plan
	Partitions int
	MaxBad     float64
}

// ProcessElement implements Beam's DoFn.
func (f *readFn) ProcessElement(ctx context.Context, in formats.Location, emit func(int64, Row),
	count func(string, int64)) error {
	rows := int64(0)
	refused, err := prepare.Scan(ctx, in, os.TempDir(), f.MaxBad, func(r datasets.Record) error {
		rows++
		emit(int64(f.Plan.Partition(r.Name, f.Partitions)), rowOf(r))
		return nil
	})
	if err != nil {
		return err
	}
	for reason, n := range refused {
		rows += n
		count(countRefused, n)
		count(countRefused+": "+reason, n)
	}
	count(countRowsIn, rows)
	return nil
}

// mergeFn cleans one partition and gives each name that stays to a shard of its split.
type mergeFn struct {
	Plan   prepare.Plan
	Shards int
}

// ProcessElement implements Beam's DoFn.
func (f *mergeFn) ProcessElement(_ int64, rows func(*Row) bool, emit func(string, Row),
	count func(string, int64)) error {
	var records []datasets.Record
	var r Row
	for rows(&r) {
		records = append(records, r.record())
	}
	kept, st := prepare.MergePartition(records, &f.Plan)
	for _, k := range kept {
		row := rowOf(k.Record)
		row.Split = int64(k.Split)
		emit(shardName(k.Split, k.Name, f.Shards), row)
	}
	count(countKept, int64(len(kept)))
	count(countDuplicates, st.Duplicates)
	count(countOverridden, st.Overridden)
	count(countFamilyMerges, st.FamilyMerges)
	count(countConflictNames, st.ConflictNames)
	count(countConflictRows, st.ConflictRows)
	return nil
}

// shardName is the file, without its suffix, that a name belongs to.
func shardName(split datasets.SplitID, name string, shards int) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s-%05d-of-%05d", split, h.Sum64()%uint64(shards), shards)
}

// writeFn writes one shard. A file appears whole or not at all: runners try a bundle again after a failure, and may
// run it twice at once.
type writeFn struct {
	Dir, Version, Compression string
	Seed                      uint64
}

// ProcessElement implements Beam's DoFn.
func (f *writeFn) ProcessElement(shard string, rows func(*Row) bool, emit func(string)) error {
	var kept []prepare.Placed
	var r Row
	for rows(&r) {
		kept = append(kept, prepare.Placed{Record: r.record(), Split: datasets.SplitID(r.Split)})
	}
	temp, err := atomicfile.Stage(f.Dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", shard, err)
	}
	defer os.RemoveAll(temp)
	path := filepath.Join(temp, shard+".arrow")
	report, err := prepare.WriteShard(path, kept, datasets.SplitMeta{Version: f.Version, Split: kept[0].Split,
		Seed: f.Seed, Compression: f.Compression})
	if err != nil {
		return err
	}
	if err := atomicfile.Rename(path, filepath.Join(f.Dir, shard+".arrow")); err != nil {
		return fmt.Errorf("write %s: %w", shard, err)
	}
	data, err := json.Marshal(report)
	if err != nil {
		return err
	}
	emit(string(data))
	return nil
}

// count is a named number.
type count struct {
	Name  string
	Value int64
}

func keyCount(name string, n int64) (string, count) { return "", count{name, n} }
func keyShard(report string) (string, string)       { return "", report }

// Summary is summary.json: what was counted, and the shards in order.
type Summary struct {
	Counts map[string]int64       `json:"counts"`
	Shards []datasets.SplitReport `json:"shards"`
}

// SummaryFile is written last: a folder without it is not complete.
const SummaryFile = "summary.json"

// summaryFn writes the summary.
type summaryFn struct{ Dir string }

// ProcessElement implements Beam's DoFn.
func (f *summaryFn) ProcessElement(_ string, counts func(*count) bool, shards func(*string) bool) error {
	s := Summary{Counts: map[string]int64{}}
	var c count
	for counts(&c) {
		s.Counts[c.Name] = c.Value
	}
	var text string
	for shards(&text) {
		var r datasets.SplitReport
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return fmt.Errorf("summary: %w", err)
		}
		s.Shards = append(s.Shards, r)
	}
	slices.SortFunc(s.Shards, func(a, b datasets.SplitReport) int { return strings.Compare(a.File, b.File) })
	return atomicfile.WriteJSON(filepath.Join(f.Dir, SummaryFile), s)
}
