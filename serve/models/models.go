// Package models holds the models that a server answers with: several of them, each in several versions, which are
// loaded again when their files change. What all requests may take of memory and processors is bounded here.
package models

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/model"
)

// MaxBody and MaxRows bound a request: the bytes of its body, and its rows, because an answer is larger than its
// request.
const (
	MaxBody = 64 << 20
	MaxRows = 100_000
)

// Version is one version of a model. It never changes.
type Version struct {
	Model      string // its name
	Number     int
	Classifier *model.Classifier
	Signatures map[string]tfserving.Signature // by key
	Loaded     time.Time

	set   *Set
	stamp string // of its files when they were read, "" for another
}

// Source is where a model comes from.
type Source struct {
	// Name of the model, "" for that of its directory.
	Name string
	// Dir is a directory of numbered versions, a version directory, or a run, which becomes version 1.
	// model.BuiltinName stands for the built-in model, which is version 1 of "degas".
	Dir string
	// Labels are names for versions by number, as TensorFlow Serving's version_labels: canary: 3.
	Labels map[string]int
	// Optional says that Dir is a directory of numbered versions that may be empty or missing, and that a version which
	// cannot be loaded is no error of Open: candidates come and go.
	Optional bool
}

// Set is the models of a server. It is safe for concurrent use.
type Set struct {
	// Scored, if not nil, is told of each batch that was scored: probabilities, [names, labels], and how long it took.
	// It is set before the first request, and called by many goroutines.
	Scored func(v *Version, probabilities []float32, took time.Duration)

	models  []*served // in the order of Open
	log     *slog.Logger
	memory  budget
	scorers int64 // goroutines that may score at once: each has the activations of many names
	scoring *semaphore.Weighted
}

// served is one model.
type served struct {
	Source
	versions atomic.Pointer[[]*Version] // by number, empty only if Optional

	trouble string // Watch's last error

	mu       sync.Mutex // for unserved, and for versions where the two change together
	unserved map[int]VersionState
}

// servedName is a name that can stand in a path of every protocol.
var servedName = regexp.MustCompile(`^[^/:]+$`)

// Open loads all versions of the sources. Two models may not have the same name. log receives what Watch does; nil
// discards it.
func Open(log *slog.Logger, sources ...Source) (*Set, error) {
	s := newSet(log)
	for _, from := range sources {
		if from.Optional {
			if err := s.add(from, nil); err != nil {
				return nil, fmt.Errorf("serve %s: %w", from.Dir, err)
			}
			if m := s.find(from.Name); m != nil {
				s.look(m)
			}
			continue
		}
		name, versions, err := load(from.Dir)
		if err != nil {
			return nil, err
		}
		from.Name = cmp.Or(from.Name, name)
		if err := s.add(from, versions); err != nil {
			return nil, fmt.Errorf("serve %s: %w", from.Dir, err)
		}
	}
	return s, nil
}

// Of serves classifiers that are in memory as versions 1, 2, … of one model.
func Of(name string, log *slog.Logger, classifiers ...*model.Classifier) (*Set, error) {
	s := newSet(log)
	var versions []*Version
	for i, c := range classifiers {
		versions = append(versions, &Version{Number: i + 1, Classifier: c})
	}
	return s, s.add(Source{Name: name}, versions)
}

func newSet(log *slog.Logger) *Set {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	scorers := int64(runtime.GOMAXPROCS(0))
	return &Set{log: log, memory: newBudget(), scorers: scorers, scoring: semaphore.NewWeighted(scorers)}
}

func (s *Set) add(from Source, versions []*Version) error {
	if !servedName.MatchString(from.Name) || strings.Trim(from.Name, ".") == "" {
		return fmt.Errorf("the model's name %q cannot stand in a URL's path: it must not be empty, dots alone, or have "+
			"a slash or a colon. Try: --name, or NAME=%s", from.Name, cmp.Or(from.Dir, "MODEL"))
	}
	if s.find(from.Name) != nil {
		return fmt.Errorf("two models are called %q. Try: NAME=%s with another name", from.Name, cmp.Or(from.Dir, "MODEL"))
	}
	m := &served{Source: from}
	if err := s.put(m, versions); err != nil {
		return err
	}
	s.models = append(s.models, m)
	return nil
}

// put serves versions from now on. A request in work goes on with the version that it began with.
func (s *Set) put(m *served, versions []*Version) error {
	if len(versions) == 0 && !m.Optional {
		return errors.New("nothing to serve")
	}
	for _, v := range versions {
		if v.set != nil {
			continue
		}
		list, err := tfserving.Signatures(v.Classifier.Model())
		if err != nil {
			return fmt.Errorf("version %d: %w", v.Number, err)
		}
		v.Model, v.Loaded, v.set, v.Signatures = m.Name, time.Now(), s, map[string]tfserving.Signature{}
		for _, sig := range list {
			v.Signatures[sig.Key] = sig
		}
	}
	versions = slices.SortedFunc(slices.Values(versions), func(a, b *Version) int { return a.Number - b.Number })
	m.swap(versions)
	return nil
}

// Names are the models' names. The first is the one that serves where a request names none.
func (s *Set) Names() (names []string) {
	for _, m := range s.models {
		names = append(names, m.Name)
	}
	return names
}

// Dir is where a model comes from (Source.Dir), "" if it is in memory.
func (s *Set) Dir(name string) string {
	if m := s.find(name); m != nil {
		return m.Dir
	}
	return ""
}

func (s *Set) find(name string) *served {
	for _, m := range s.models {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Versions are those of a model, ascending; nil if there is no such model.
func (s *Set) Versions(name string) []*Version {
	if m := s.find(name); m != nil {
		return *m.versions.Load()
	}
	return nil
}

// Find looks up a version of a model, the highest for "". ok is false if it is not served.
func (s *Set) Find(name, version string) (v *Version, ok bool) {
	for _, v := range slices.Backward(s.Versions(name)) {
		if version == "" || version == strconv.Itoa(v.Number) {
			return v, true
		}
	}
	return nil, false
}

// turn is how many rows of a request are scored before it is another request's turn.
const turn = 2048

// Names scores names, which it folds: [len(names), labels]. What is no name gets zeros.
func (v *Version) Names(ctx context.Context, names []string) ([]float32, error) {
	return v.inTurns(ctx, len(names), func(lo, hi int, out []float32) error {
		return v.Classifier.Probabilities(ctx, names[lo:hi], out)
	})
}

// Codes scores rows of codes, [rows, window], each below Spec.Codes of the model: [rows, labels].
func (v *Version) Codes(ctx context.Context, codes []uint16) ([]float32, error) {
	window := v.Classifier.Model().Spec.Encoder.Window
	return v.inTurns(ctx, len(codes)/window, func(lo, hi int, out []float32) error {
		return v.Classifier.ProbabilitiesOfCodes(ctx, codes[lo*window:hi*window], out)
	})
}

func (v *Version) inTurns(
	ctx context.Context,
	rows int,
	score func(lo, hi int, out []float32) error,
) ([]float32, error) {
	c, s, width := v.Classifier, v.set, v.Classifier.Width()
	out := make([]float32, rows*width)
	for lo := 0; lo < rows; lo += turn {
		hi := min(lo+turn, rows)
		workers := min(int64(c.Workers(hi-lo)), s.scorers) // GOMAXPROCS may grow
		if err := s.scoring.Acquire(ctx, workers); err != nil {
			return nil, err
		}
		start := time.Now()
		err := score(lo, hi, out[lo*width:hi*width])
		s.scoring.Release(workers)
		if err != nil {
			return nil, err
		}
		if s.Scored != nil {
			s.Scored(v, out[lo*width:hi*width], time.Since(start))
		}
	}
	return out, nil
}
