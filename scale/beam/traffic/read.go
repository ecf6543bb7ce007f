package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/predict"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all" // every format
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
)

// listFormat is the format of lists of names. Score does with them as degas predict does, and else as degas scan.
const listFormat = "list"

// piece is a Piece that is open.
type piece struct {
	*Piece
	events *events.File // nil for a list of names
	names  io.Reader    // of a list
	close  []func() error
}

// Close closes what is open.
func (p *piece) Close() (err error) {
	for _, c := range p.close {
		err = errors.Join(err, c())
	}
	return err
}

// open opens a piece. With names, a list gives its names, and else events. The error names the file.
func (p *Piece) open(ctx context.Context, o events.Options, names bool) (_ *piece, err error) {
	in := &piece{Piece: p}
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	folder, err := bucket.Open(ctx, p.Folder)
	if err != nil {
		return nil, err
	}
	in.close = append(in.close, func() error { return p.changed(ctx, folder) }, folder.Close)
	if p.To > 0 {
		return in, in.openRange(ctx, folder, o, names && p.Format == listFormat)
	}
	path := filepath.Join(folder.Local(), p.Name)
	if folder.Local() == "" {
		if path, err = in.fetch(ctx, folder); err != nil {
			return nil, err
		}
	}
	if in.events, err = events.Open(ctx, path, o, nil); err != nil {
		return nil, err
	}
	if !names || in.events.Format.Name != listFormat {
		in.close = append([]func() error{in.events.Close}, in.close...)
		return in, nil
	}
	if err := in.events.Close(); err != nil {
		return nil, err
	}
	in.events = nil
	s, err := unpack.File(ctx, path, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.Path, err)
	}
	in.names, in.close = s, append([]func() error{s.Close}, in.close...)
	return in, nil
}

// changed is an error if the file has become shorter: then a piece holds less than it should.
func (p *Piece) changed(ctx context.Context, folder *bucket.Folder) error {
	size, err := folder.Size(ctx, p.Name)
	if err == nil && size < p.Size {
		err = fmt.Errorf("read %s: it had %d bytes when it was listed and has %d now. Try: again, when nobody writes to it",
			p.Path, p.Size, size)
	}
	return err
}

// openRange opens a piece of a log.
func (p *piece) openRange(ctx context.Context, folder *bucket.Folder, o events.Options, names bool) error {
	margin := int64(events.Margin)
	if names {
		margin = 0
	}
	r := lines.Range{From: p.From, To: p.To}
	offset, length := r.Around(margin)
	in, err := folder.Reader(ctx, p.Name, offset, length)
	if err != nil {
		return err
	}
	p.close = append([]func() error{in.Close}, p.close...)
	if names {
		p.names = r.Reader(in, 0)
		return nil
	}
	head, err := readHead(ctx, folder, p.Name)
	if err != nil {
		return err
	}
	format, err := events.Lookup(p.Format)
	if err != nil {
		return err
	}
	p.events, err = events.OpenRange(in, p.Path, format, head, r, o)
	return err
}

// fetch copies a file of object storage to this machine: formats may read at random.
func (p *piece) fetch(ctx context.Context, folder *bucket.Folder) (path string, err error) {
	dir, err := os.MkdirTemp("", "degas-beam-")
	if err != nil {
		return "", err
	}
	p.close = append(p.close, func() error { return os.RemoveAll(dir) })
	in, err := folder.Reader(ctx, p.Name, 0, -1)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(dir, filepath.Base(p.Name)))
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return out.Name(), errors.Join(err, out.Close())
}

// eachName gives the names of a list in batches, as degas predict reads them. The error is each's, or about the list.
func (p *piece) eachName(ctx context.Context, t *tally, each func(names []string) error) error {
	s := bufio.NewScanner(p.names)
	s.Buffer(make([]byte, 0, 4096), predict.MaxLine)
	var batch []string
	for more := true; more; {
		if more = s.Scan(); more {
			t.Units++
			line := strings.TrimRight(s.Text(), "\r")
			if line == "" {
				t.skip("empty line")
				continue
			}
			batch = append(batch, line)
		}
		if len(batch) == predict.Batch || !more && len(batch) > 0 {
			if err := each(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	err := s.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("line %d behind byte %d is longer than %d bytes. Try: one name a line", t.Units+1, p.From,
			predict.MaxLine)
	}
	if err != nil {
		t.fail(fmt.Errorf("read %s: %w", p.Path, err))
	}
	return nil
}

// batch is a stretch of a piece's events with memory of their own.
type batch struct {
	events    []events.Event
	mine      []bool
	names     [][]byte
	decisions []detect.Decision
}

// batchSize is how many events are judged together.
const batchSize = 4096

// eachEvent gives the events of a piece with their decisions in order, and, if warm, those just before it, which are
// not its own. The error is each's or ctx's.
func (p *piece) eachEvent(ctx context.Context, j *judge, t *tally, warm bool,
	each func(e *events.Event, d *detect.Decision, mine bool) error) error {
	joined := events.Join(p.events)
	b := &batch{events: make([]events.Event, batchSize), mine: make([]bool, batchSize),
		decisions: make([]detect.Decision, batchSize)}
	for ended := error(nil); ended == nil; {
		b.names = b.names[:0]
		for n := 0; n < batchSize; {
			var e events.Event
			if ended = joined.Next(&e); ended != nil {
				break
			}
			mine := p.events.Mine(&e)
			if !mine && !warm {
				continue
			}
			e.CopyTo(&b.events[n])
			if p.From > 0 {
				b.events[n].Line = 0 // nobody has counted the lines before
			}
			b.mine[n] = mine
			b.names = append(b.names, b.events[n].Name)
			n++
		}
		if err := j.cache.DecideAll(ctx, b.names, b.decisions[:len(b.names)]); err != nil {
			return err
		}
		for i := range b.names {
			e, d := &b.events[i], &b.decisions[i]
			if b.mine[i] {
				t.count(e, d)
			}
			if err := each(e, d, b.mine[i]); err != nil {
				return err
			}
		}
		if ended != nil && ended != io.EOF {
			t.fail(fmt.Errorf("read %s after %d %s: %w", p.Path, p.events.Stats.Units, p.events.Format.Unit, ended))
		}
	}
	return ctx.Err()
}
