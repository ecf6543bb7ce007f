package datasets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
)

// ManifestName is the file that describes a processed data set, beside its splits.
const ManifestName = "dataset.json"

// FormatVersion is the version of dataset.json and of the Arrow schema. Readers refuse others.
const FormatVersion = 1

// Manifest is dataset.json: where every row came from, what was refused and why, and what each split holds. It has no
// times and no absolute paths: the same inputs and options give the same bytes.
type Manifest struct {
	Format int `json:"format"`
	// Version is the degas version that wrote the data set.
	Version string `json:"degas_version"`
	// Fingerprint identifies the data set: a SHA-256 over the inputs' hashes, the options and the rows kept.
	Fingerprint string `json:"fingerprint"`
	// Input is the folder of the raw files as process-data was told it, "" for an absolute path outside the working
	// directory.
	Input   string          `json:"input,omitempty"`
	Options ManifestOptions `json:"options"`

	Inputs  []InputReport `json:"inputs"`
	Skipped []Skipped     `json:"skipped"`
	// Findings are inputs whose names do not look as their labels say.
	Findings []Finding `json:"findings,omitempty"`

	// RowsIn = Refused + Duplicates + Overridden + Conflicts.Rows + Capped + Balanced + Kept.
	RowsIn int64 `json:"rows_in"`
	// Refused is the sum of the inputs' refused rows, RefusedBy their reasons.
	Refused   int64            `json:"refused"`
	RefusedBy map[string]int64 `json:"refused_by"`
	// LeftOut counts, by reason, what is neither a row nor a mistake, such as the exceptions of block lists.
	LeftOut map[string]int64 `json:"left_out,omitempty"`
	// Duplicates are rows whose name and class were there already.
	Duplicates int64 `json:"duplicates"`
	// Overridden are rows of blocklists whose name another file labels.
	Overridden int64 `json:"overridden"`
	// RenamedFamilies are families that are counted under another name than the input has, as NormalizeFamily says.
	RenamedFamilies map[string]string `json:"renamed_families,omitempty"`
	// FamilyMerges counts names that came with more than one family.
	FamilyMerges int64     `json:"family_merges"`
	Conflicts    Conflicts `json:"conflicts"`
	// Capped and Balanced are good training rows left out on request: those over the cap of their family, and then
	// those that would make one class larger than another.
	Capped   int64 `json:"capped"`
	Balanced int64 `json:"balanced_out"`
	Kept     int64 `json:"kept"`
	// MovedToTrain counts the names of other sources that are in training because they share a registered domain with a
	// source of Options.TrainOnly.
	MovedToTrain int64 `json:"moved_to_train,omitempty"`
	// Dates is there when the split is by date.
	Dates *DateReport `json:"dates,omitempty"`

	// Splits are train, validation and test, in this order.
	Splits []SplitReport `json:"splits"`
	Leaks  LeakReport    `json:"leak_check"`

	dir string // or URL that it was read from
}

// ManifestOptions are the options that decide what the data set holds. Memory, workers and compression do not.
type ManifestOptions struct {
	Seed            uint64   `json:"seed"`
	Validation      float64  `json:"validation"`
	Test            float64  `json:"test"`
	Split           string   `json:"split"`
	HoldoutFamilies []string `json:"holdout_families"`
	Exclude         []string `json:"exclude,omitempty"`    // sources
	TrainOnly       []string `json:"train_only,omitempty"` // sources
	MaxBad          float64  `json:"max_bad"`
	Balance         string   `json:"balance,omitempty"`
	CapFamily       int64    `json:"cap_family,omitempty"`
}

// Ways to split, in ManifestOptions.Split.
const (
	SplitByDomain = "domain" // a registered domain is in one split
	SplitByFamily = "family" // a family is in one split, and so is a registered domain; benign names go by domain
	SplitBySource = "source" // a source is in one split, and so is a registered domain
	SplitRandom   = "random" // a name is in one split; registered domains cross
	// SplitByDate: the oldest days are for training, the newest for test. A registered domain's day is the newest of its
	// rows that have one; without any it goes by SplitByDomain.
	SplitByDate = "date"
)

// Ways to balance the training split, in ManifestOptions.Balance.
const (
	BalanceBinary = "binary" // as many malicious names (DGA and tunnel together) as benign ones
	BalanceClass  = "class"  // equally many names of each class that there is
)

// InputReport says what became of one input.
type InputReport struct {
	// Path is relative to the input folder; FILE!MEMBER for a file in an archive.
	Path string `json:"path"`
	// SHA256 and Bytes are of the file on disk, compressed as it is.
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Reader string `json:"reader"`
	Source string `json:"source"`
	// Evidence says what the labels rest on.
	Evidence *Evidence `json:"evidence,omitempty"`
	// Rows counts what the reader found, refused rows included.
	Rows    int64            `json:"rows"`
	Refused map[string]int64 `json:"refused,omitempty"`
	LeftOut map[string]int64 `json:"left_out,omitempty"`
	// BadLines are the first refused rows as "file:line: reason".
	BadLines []string `json:"samples,omitempty"`
}

// Finding is what seems to be wrong with the labels of an input.
type Finding struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// MaxSkipped bounds the list of skipped files in dataset.json. One more entry, without a path, counts the others.
const MaxSkipped = 10000

// Skipped is a file that was not read.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	// Detail says what each format missed in a file that was not recognised. dataset.json does without it.
	Detail string `json:"-"`
	// Line is the first line that is no name, in a file that was not recognised where a list of names could be; or what
	// a list of names lacks.
	Line string `json:"-"`
}

// Conflicts are names that came with more than one class and were dropped.
type Conflicts struct {
	// Names counts the names, Rows the rows they had; Benign those names where one of the classes was benign.
	Names  int64 `json:"names"`
	Rows   int64 `json:"rows"`
	Benign int64 `json:"with_benign"`
	// List holds the names in order, the first MaxConflictNames of them.
	List []string `json:"list"`
}

// MaxConflictNames bounds the list of conflicting names in dataset.json.
const MaxConflictNames = 10000

// DateReport says how a split by date divided the rows that have one. Rows are counted as they come in, before
// duplicates are removed.
type DateReport struct {
	Dated   int64 `json:"dated_rows"`
	Undated int64 `json:"undated_rows"` // these are split by registered domain
	// First and Last are the first and the last day. ValidationFrom and TestFrom are the first days of those splits,
	// "" for a split without days.
	First          string `json:"first"`
	ValidationFrom string `json:"validation_from"`
	TestFrom       string `json:"test_from"`
	Last           string `json:"last"`
}

// SplitReport describes one split: its file, or its shards. Files lists either.
type SplitReport struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"` // "" if the split is in shards
	// Rows and Bytes are of all shards together. SHA256 is that of the file, or of the shards' SHA-256 as text, joined
	// by newlines.
	Rows     int64            `json:"rows"`
	Bytes    int64            `json:"bytes"`
	SHA256   string           `json:"sha256"`
	ByClass  map[string]int64 `json:"by_class"`
	ByFamily map[string]int64 `json:"by_family"` // "" counts rows without a family
	BySource map[string]int64 `json:"by_source"`
	// Shards are the files of a split in shards, in the order of their rows.
	Shards []SplitFile `json:"shards,omitempty"`
}

// check reports counts and shards that cannot be.
func (s *SplitReport) check() error {
	if err := checkRows(s.Rows, s.Bytes); err != nil {
		return err
	}
	if err := s.checkShards(); err != nil {
		return err
	}
	for what, counts := range map[string]map[string]int64{
		"by_class": s.ByClass, "by_family": s.ByFamily, "by_source": s.BySource,
	} {
		left := s.Rows
		for _, n := range counts {
			if left -= n; n < 0 || left < 0 {
				break
			}
		}
		if left != 0 {
			return fmt.Errorf("the counts of %s are not those of %d rows", what, s.Rows)
		}
	}
	return nil
}

// checkRows reports a number of rows that a file cannot have. A row takes more than a byte, because no two names are
// equal: whoever takes memory for every row takes it for a file that is there.
func checkRows(rows, bytes int64) error {
	if rows < 0 || rows > bytes {
		return fmt.Errorf("%d rows in %d bytes", rows, bytes)
	}
	return nil
}

// LeakReport is the result of reading the finished splits again.
type LeakReport struct {
	// Key is what must not be in two splits: "registered domain", or "name" for a random split.
	Key string `json:"key"`
	// Keys counts the different ones.
	Keys int64 `json:"keys"`
	// Crossing are the ones in more than one split. A data set with any is never put in place.
	Crossing int64 `json:"crossing"`
	// HeldOut counts rows of held-out families in train or validation.
	HeldOut int64 `json:"held_out_outside_test"`
}

// Dir is the directory or URL that m was read from.
func (m *Manifest) Dir() string { return m.dir }

// Split finds a split's report by name; nil when there is none.
func (m *Manifest) Split(name string) *SplitReport {
	if i := slices.IndexFunc(m.Splits, func(s SplitReport) bool { return s.Name == name }); i >= 0 {
		return &m.Splits[i]
	}
	return nil
}

// ReadManifest reads dataset.json in dir, a folder's path or URL (internal/bucket). The splits that the manifest opens
// are of the same version of the data set. The error names the file and what to do. If a process was killed while it
// put a new version in its place, ReadManifest finishes that first.
func ReadManifest(ctx context.Context, dir string) (*Manifest, error) {
	if bucket.IsURL(dir) {
		return readRemote(ctx, dir)
	}
	if err := finish(dir); err != nil {
		return nil, fmt.Errorf("open data set: finish what a killed process-data began: %w", err)
	}
	return readManifest(dir)
}

// readManifest reads dataset.json in dir as it is.
func readManifest(dir string) (*Manifest, error) {
	data, err := userfile.Read(filepath.Join(dir, ManifestName), userfile.Text)
	return decodeManifest(dir, data, err)
}

// decodeManifest decodes the dataset.json of dir, unless reading it failed.
func decodeManifest(dir string, data []byte, err error) (*Manifest, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open data set: no %s in %s: %w. Try: degas process-data, or the folder "+
			"of an earlier one", ManifestName, dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open data set: %w", err)
	}
	path, m := bucket.Join(dir, ManifestName), &Manifest{dir: dir}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("open data set: %s: %w. Try: degas process-data", path, err)
	}
	if m.Format != FormatVersion {
		return nil, fmt.Errorf("open data set: %s has format %d, this degas reads %d. Try: degas process-data",
			path, m.Format, FormatVersion)
	}
	return m, nil
}

// files are the names of the data set's files but ManifestName.
func (m *Manifest) files() map[string]bool {
	names := map[string]bool{}
	for _, s := range m.Splits {
		for _, f := range s.Files() {
			names[f.File] = true
		}
	}
	return names
}

// Encode gives the manifest's bytes.
func (m *Manifest) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encode %s: %w", ManifestName, err)
	}
	return b.Bytes(), nil
}
