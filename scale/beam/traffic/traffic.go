// Package traffic scores names and watches DNS traffic on Apache Beam, for logs that one machine does not read in time.
//
//	files -> pieces: ranges of logs, or whole files -> score or gather -> files of a day, or evidence
//
//	input.go   the files, and how they are cut into pieces
//	read.go    the events or names of a piece
//	score.go   Score: a model over names and traffic
//	output.go  the files that Score writes
//	tally.go   what was read, for the report
//	watch.go   Watch: the findings of package detect/watch
//
// A piece is an element of its own, and no restriction of a splittable DoFn: what a piece writes must not depend on how
// a runner cuts it, and Flink leaves restrictions where they were made. A piece has some MiB, so that the runner's cost
// of an element does not count.
package traffic

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model"
)

// Options are what Score and Watch have in common.
type Options struct {
	// Input are files, folders, patterns, or URLs of folders and of files: captures, logs, and lists of names.
	Input []string
	// Output is the path or the URL of a folder that is empty or not there.
	Output string
	// Model is a model that every worker sees, or model.BuiltinName.
	Model string
	// Events is how files are read.
	Events events.Options
	// RangeSize is how large a piece of a log is, in bytes; 0 means DefaultRangeSize. It changes no result.
	RangeSize int64
}

// DefaultRangeSize is some hundred thousand events.
const DefaultRangeSize = 16 << 20

// judge is the model that decides, as a DoFn knows it.
type judge struct {
	Model  string
	Digest string // of the weights: workers must see the same ones

	classifier *model.Classifier
	policy     *detect.Policy
	cache      *detect.Cache
}

// newJudge loads the model on the machine that starts the pipeline.
func newJudge(name string) (j judge, err error) {
	m, err := model.LoadNamed(name)
	if err != nil {
		return j, err
	}
	if j.Model = name; name != model.BuiltinName {
		if j.Model, err = filepath.Abs(name); err != nil { // workers stand elsewhere
			return j, err
		}
	}
	j.Digest, err = m.Digest()
	return j, err
}

// loaded is the judge of this process. A runner makes many instances of a DoFn, and one model and one memory of
// decisions serve them all: with a memory of its own, each would score the frequent names again.
var loaded struct {
	sync.Mutex
	judge
}

// setUp loads the model on a worker, unless it is loaded.
func (j *judge) setUp() error {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.cache == nil || loaded.Digest != j.Digest {
		if err := j.load(); err != nil {
			return err
		}
		loaded.judge = *j
	}
	*j = loaded.judge
	return nil
}

func (j *judge) load() error {
	m, err := model.LoadNamed(j.Model)
	if err != nil {
		return err
	}
	if digest, err := m.Digest(); err != nil || digest != j.Digest {
		return fmt.Errorf("the model in %s is another one here than where the pipeline was started (%w)", j.Model, err)
	}
	if j.classifier, err = model.NewClassifier(m); err != nil {
		return err
	}
	if j.policy, err = detect.New(detect.Options{Classifier: j.classifier, Action: detect.Report}); err != nil {
		return err
	}
	j.cache = detect.NewCache(j.policy, 0)
	return nil
}

// start lists the input, checks the output, and adds the steps that make pieces.
func (o *Options) start(ctx context.Context, s beam.Scope) (pieces beam.PCollection, files []File, err error) {
	if o.RangeSize == 0 {
		o.RangeSize = DefaultRangeSize
	}
	if o.RangeSize < 1 {
		return pieces, nil, fmt.Errorf("a range of %d bytes: must be at least 1", o.RangeSize)
	}
	if o.Events.Format != "" {
		if _, err := events.Lookup(o.Events.Format); err != nil {
			return pieces, nil, err
		}
	}
	if o.Output != "" && !bucket.IsURL(o.Output) {
		if o.Output, err = filepath.Abs(o.Output); err != nil {
			return pieces, nil, err
		}
	}
	if files, err = list(ctx, o.Input); err != nil {
		return pieces, nil, err
	}
	if err := checkEmpty(ctx, o.Output); err != nil {
		return pieces, nil, err
	}
	whole := make([]Piece, len(files))
	for i, f := range files {
		whole[i] = Piece{Folder: f.Folder, Name: f.Name, Path: f.Path, Size: f.Size, File: int64(i)}
	}
	// The files are spread by key, not by a Reshuffle: to Flink, rows that were reshuffled are still so after the next
	// step. It would leave out the second Reshuffle, and one worker would read all pieces of a file.
	spread := beam.GroupByKey(s, beam.ParDo(s, keyFile, beam.CreateList(s, whole)))
	cut := beam.ParDo(s.Scope("Cut"), &cutFn{RangeSize: o.RangeSize, Format: o.Events.Format}, spread)
	return beam.Reshuffle(s, cut), files, nil
}

// checkEmpty is an error if there are files in a folder: they would be mixed with new ones.
func checkEmpty(ctx context.Context, url string) error {
	if url == "" {
		return fmt.Errorf("there is no output. Try: --output FOLDER")
	}
	folder, err := bucket.Open(ctx, url)
	if err != nil {
		return err
	}
	defer folder.Close()
	for f, err := range folder.List(ctx, "") {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s holds files already, %s for example. Try: another --output, or remove them", folder, f.Name)
	}
	return nil
}

// ReadReport reads what a pipeline wrote last.
func ReadReport(ctx context.Context, output, name string) ([]byte, error) {
	folder, err := bucket.Open(ctx, output)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Read(ctx, name, 64<<20)
}

// partName is the name of the output of a piece: the same whenever the piece is tried again.
func partName(folder string, p *Piece, again int, ext string) string {
	name := fmt.Sprintf("part-%05d-%05d", p.File, p.Part)
	if again > 0 {
		name += fmt.Sprintf("-%d", again)
	}
	return path.Join(folder, name+"."+ext)
}

func init() {
	// Without the generated code of package register, which takes half a minute to compile. It saves time for each
	// element, and here an element is a piece of a file.
	for _, fn := range []any{&cutFn{}, &scoreFn{}, &fileFn{}, &reportFn{}, &gatherFn{}, &mergeFn{}, &laneFn{},
		&concludeFn{}} {
		beam.RegisterType(reflect.TypeOf(fn).Elem())
	}
	beam.RegisterFunction(keyFile)
}
