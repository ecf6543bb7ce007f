package prepare

import (
	"path/filepath"
	"sort"

	"github.com/degas-dns/degas/datasets"
)

// splitOutput writes the files of one split after the other: its only file, or its shards in order.
type splitOutput struct {
	*preparation
	families, sources          []string // dictionaries
	familyNumber, sourceNumber []uint16 // in them, by number of the interner
	batch                      *datasets.Columns

	id     datasets.SplitID
	w      *datasets.SplitWriter // of the file that is being written
	shards []datasets.SplitReport
}

// begin opens the first file of a split.
func (s *splitOutput) begin(id datasets.SplitID) error {
	s.id, s.shards = id, nil
	return s.open()
}

// open opens the next file of the split.
func (s *splitOutput) open() (err error) {
	name := s.id.File()
	if s.o.Shards > 0 {
		name = s.id.ShardFile(len(s.shards), s.o.Shards)
	}
	s.w, err = datasets.NewSplitWriter(filepath.Join(s.finished(), name), s.families, s.sources,
		datasets.SplitMeta{Version: s.o.Version, Fingerprint: s.manifest.Fingerprint, Split: s.id, Seed: s.o.Seed,
			Compression: s.o.Compression}, s.batch)
	return err
}

// finish ends the open file.
func (s *splitOutput) finish() error {
	if err := s.w.Finish(); err != nil {
		return err
	}
	s.shards = append(s.shards, s.w.Report())
	s.syncs.Go(s.w.Close) // the disk works while the next file is made and all are checked
	s.w = nil
	return nil
}

// append writes the rows of the next bucket, which may belong to more than one shard.
func (s *splitOutput) append(b *bucketBuffers) error {
	for from := 0; ; {
		to := len(b.out)
		if s.o.Shards > 0 {
			_, end := ShardSections(len(s.shards), s.o.Shards)
			to = from + sort.Search(to-from, func(i int) bool { return b.out[from+i].section() >= end })
		}
		if err := s.w.AppendPart(&b.columns, from, to, s.familyNumber, s.sourceNumber); err != nil {
			return err
		}
		if to == len(b.out) {
			return nil
		}
		if err := s.next(); err != nil {
			return err
		}
		from = to
	}
}

func (s *splitOutput) next() error {
	if err := s.finish(); err != nil {
		return err
	}
	return s.open()
}

// end ends the split, whose last shards may have no rows.
func (s *splitOutput) end() error {
	for len(s.shards)+1 < s.o.Shards {
		if err := s.next(); err != nil {
			return err
		}
	}
	if err := s.finish(); err != nil {
		return err
	}
	report := s.shards[0]
	if s.o.Shards > 0 {
		report = datasets.JoinShards(s.shards)
	}
	s.manifest.Splits = append(s.manifest.Splits, report)
	return nil
}

// abandon closes the open file after an error.
func (s *splitOutput) abandon() {
	if s.w != nil {
		s.w.Abandon()
	}
}
