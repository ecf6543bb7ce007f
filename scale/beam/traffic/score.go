package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/predict"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model"
)

// ScoreFile is the Report of Score.
const ScoreFile = "score.json"

// Score adds a pipeline to s that scores names and traffic. It lists the input, so that is done on the machine that
// starts the pipeline. Of a list, every name gets the model's word as degas predict has it, in names/; events get
// decisions as degas scan does, in a folder for each day, such as events/day=2026-11-29/. form is JSONLines or Parquet.
//
// A file that cannot be read, or not to its end, is in the Report; the others are still read.
func Score(ctx context.Context, s beam.Scope, o Options, form string) error {
	if form != JSONLines && form != Parquet {
		return fmt.Errorf("form %q: there are %s and %s", form, JSONLines, Parquet)
	}
	j, err := newJudge(o.Model)
	if err != nil {
		return err
	}
	pieces, _, err := o.start(ctx, s)
	if err != nil {
		return err
	}
	tallies := beam.ParDo(s.Scope("Score"), &scoreFn{Judge: j, Output: o.Output, Form: form, Events: o.Events}, pieces)
	files := beam.ParDo(s.Scope("Count"), &fileFn{}, beam.GroupByKey(s, tallies))
	beam.ParDo0(s.Scope("Report"), &reportFn{Output: o.Output, Digest: j.Digest}, beam.GroupByKey(s, files))
	return nil
}

// scoreFn scores a piece and writes its files.
type scoreFn struct {
	Judge        judge
	Output, Form string
	Events       events.Options
}

// Setup implements Beam's DoFn.
func (f *scoreFn) Setup(context.Context) error { return f.Judge.setUp() }

// ProcessElement implements Beam's DoFn.
func (f *scoreFn) ProcessElement(ctx context.Context, p Piece, emit func(int64, []byte)) error {
	folder, err := bucket.Open(ctx, f.Output)
	if err != nil {
		return err
	}
	defer folder.Close()
	t := newTally(&p)
	in, err := p.open(ctx, f.Events, true)
	switch {
	case err != nil:
		t.fail(err)
		err = nil
	case in.events != nil:
		err = f.events(ctx, in, folder, t)
	default:
		err = f.names(ctx, in, folder, t)
	}
	if in != nil {
		t.of(in)
		t.fail(in.Close())
	}
	return tell(ctx, err, t, emit, p.File)
}

// tell gives a piece's tally, unless err is that the output could not be written, or that ctx ended.
func tell(ctx context.Context, err error, t *tally, emit func(int64, []byte), file int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	emit(file, data)
	return nil
}

// events scores a piece of traffic.
func (f *scoreFn) events(ctx context.Context, in *piece, folder *bucket.Folder, t *tally) error {
	out := &days{ctx: ctx, folder: folder, piece: in.Piece, form: f.Form}
	err := out.end(in.eachEvent(ctx, &f.Judge, t, false, func(e *events.Event, d *detect.Decision, _ bool) error {
		return out.write(e, d)
	}))
	t.Written = out.files
	return err
}

// names scores a piece of a list.
func (f *scoreFn) names(ctx context.Context, in *piece, folder *bucket.Folder, t *tally) error {
	var out *nameLog
	scorer := predict.New(f.Judge.classifier)
	err := in.eachName(ctx, t, func(names []string) (err error) {
		if out == nil {
			t.Written = 1
			u := newUpload(ctx, folder, partName("names", in.Piece, 0, f.Form))
			if out, err = newNameLog(u, f.Form, scorer); err != nil {
				return u.end(err)
			}
		}
		return scorer.Score(ctx, names, func(name string, v *model.Verdict) error {
			t.Names++
			count(&t.Labels, v.Label, 1)
			return out.write(name, v)
		})
	})
	if out == nil {
		return err
	}
	return out.end(err)
}

// reportFn writes the Report.
type reportFn struct{ Output, Digest string }

// ProcessElement implements Beam's DoFn.
func (f *reportFn) ProcessElement(ctx context.Context, _ string, files func(*[]byte) bool) error {
	r, err := sum(files)
	if err != nil {
		return err
	}
	r.Model = f.Digest
	return writeJSON(ctx, f.Output, ScoreFile, r)
}

// writeJSON writes a file of the output.
func writeJSON(ctx context.Context, output, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	folder, err := bucket.Open(ctx, output)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Write(ctx, name, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}
