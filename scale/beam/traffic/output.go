package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/predict"
	"github.com/degas-dns/degas/detect/scan"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model"
)

// Forms of the output.
const (
	JSONLines = "jsonl"
	Parquet   = "parquet"
)

// noDay is the partition of events without a time: readers of Hive's folders take it for null.
const noDay = "__HIVE_DEFAULT_PARTITION__"

// upload is a file that is being written. It appears whole when Close returns nil, or not at all.
type upload struct {
	io.Writer
	pipe *io.PipeWriter
	done chan error
}

func newUpload(ctx context.Context, folder *bucket.Folder, name string) *upload {
	out, in := io.Pipe()
	buffered := bufio.NewWriterSize(in, 1<<18)
	u := &upload{buffered, in, make(chan error, 1)}
	go func() {
		err := folder.Write(ctx, name, func(w io.Writer) error {
			_, err := io.Copy(w, out)
			return err
		})
		out.CloseWithError(err) // a writer must not wait for nobody
		u.done <- err
	}()
	return u
}

// end finishes the file, or drops it for an error.
func (u *upload) end(err error) error {
	if err == nil {
		err = u.Writer.(*bufio.Writer).Flush()
	}
	u.pipe.CloseWithError(err) // nil is the end
	return errors.Join(<-u.done)
}

// days writes a piece's events into one file a day.
type days struct {
	ctx    context.Context
	folder *bucket.Folder
	piece  *Piece
	form   string
	open   []*day // the one written last comes first
	again  map[string]int
	files  int64

	waiting []dated // events of other days than those of open files
}

// mostDays is how many files are open at a time: some MB each.
const mostDays = 8

// mostWaiting is how many events wait for others of their days, so that events in no order of time do not make a file
// each: some ten MB.
const mostWaiting = 1 << 15

// dated is an event with memory of its own.
type dated struct {
	day      string
	event    *events.Event
	decision detect.Decision
}

// day is the file of a day.
type day struct {
	name string
	log  scan.Log
	*upload
}

func (d *days) write(e *events.Event, decision *detect.Decision) error {
	name := noDay
	if !e.Time.IsZero() {
		name = e.Time.UTC().Format(time.DateOnly)
	}
	opened := slices.ContainsFunc(d.open, func(o *day) bool { return o.name == name })
	if opened || len(d.open) < mostDays {
		return d.put(name, e, decision)
	}
	own := &events.Event{}
	e.CopyTo(own)
	d.waiting = append(d.waiting, dated{name, own, *decision})
	if len(d.waiting) == mostWaiting {
		return d.flush()
	}
	return nil
}

// flush writes the events that wait, day by day.
func (d *days) flush() error {
	slices.SortStableFunc(d.waiting, func(a, b dated) int { return strings.Compare(a.day, b.day) })
	for _, w := range d.waiting {
		if err := d.put(w.day, w.event, &w.decision); err != nil {
			return err
		}
	}
	clear(d.waiting)
	d.waiting = d.waiting[:0]
	return nil
}

// put writes an event into the file of its day.
func (d *days) put(name string, e *events.Event, decision *detect.Decision) error {
	i := slices.IndexFunc(d.open, func(o *day) bool { return o.name == name })
	if i < 0 {
		if err := d.begin(name); err != nil {
			return err
		}
	} else if i > 0 {
		at := d.open[i]
		d.open = slices.Insert(slices.Delete(d.open, i, i+1), 0, at)
	}
	return d.open[0].log.Write(d.piece.Path, e, decision)
}

// begin opens the file of a day, and ends another one if there are too many.
func (d *days) begin(name string) error {
	if len(d.open) == mostDays {
		last := d.open[mostDays-1]
		d.open = d.open[:mostDays-1]
		if err := last.end(last.log.Close()); err != nil {
			return err
		}
	}
	path := partName("events/day="+name, d.piece, d.again[name], d.form)
	if d.again == nil {
		d.again = map[string]int{}
	}
	d.again[name]++
	u := newUpload(d.ctx, d.folder, path)
	log, err := scan.NewLog(u, path)
	if err != nil {
		return errors.Join(err, u.end(err))
	}
	d.open, d.files = slices.Insert(d.open, 0, &day{name, log, u}), d.files+1
	return nil
}

// end finishes all files, or drops those that are open for an error.
func (d *days) end(err error) error {
	if err == nil {
		err = d.flush()
	}
	errs := []error{err}
	for _, o := range d.open {
		if err == nil {
			errs = append(errs, o.end(o.log.Close()))
		} else {
			_ = o.end(err) // is the same
		}
	}
	return errors.Join(errs...)
}

// nameRow is a name of a list with what the model makes of it.
type nameRow struct {
	Name    string  `parquet:"name"`
	Score   float64 `parquet:"score"`
	Label   string  `parquet:"label,dict"`
	Invalid string  `parquet:"invalid,dict"` // why it is no name
}

// nameLog writes a list's names.
type nameLog struct {
	*upload
	scorer *predict.Scorer
	rows   *parquet.GenericWriter[nameRow] // nil for JSON Lines
}

func newNameLog(u *upload, form string, s *predict.Scorer) (*nameLog, error) {
	switch form {
	case JSONLines:
		return &nameLog{u, s, nil}, nil
	case Parquet:
		return &nameLog{u, s, parquet.NewGenericWriter[nameRow](u, parquet.Compression(&parquet.Zstd))}, nil
	}
	return nil, fmt.Errorf("form %q: there are %s and %s", form, JSONLines, Parquet)
}

func (l *nameLog) write(name string, v *model.Verdict) error {
	if l.rows == nil {
		return l.scorer.WriteJSON(l, name, v)
	}
	row := nameRow{Name: name, Score: v.Score, Label: v.Label}
	if v.Invalid != nil {
		row.Invalid = v.Invalid.Error()
	}
	_, err := l.rows.Write([]nameRow{row})
	return err
}

func (l *nameLog) end(err error) error {
	if err == nil && l.rows != nil {
		err = l.rows.Close()
	}
	return l.upload.end(err)
}
